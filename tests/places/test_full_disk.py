"""A full disk is one sentence with its place; nothing half-written stays, and room mends it."""

import errno
import json
import shlex
import sys

import pytest
from sqlalchemy import create_engine

from pipeline.errors import DiskFullError, UserError, full_disk
from pipeline.market_data.store.atomic_files import replace_text
from pipeline.results.access.engines import DatabaseFullError, name_full_disks
from pipeline.results.database import open_database
from support.candle_files import random_candles, write
from support.namespaces import after, small_disk
from support.parameters import combination
from support.runs import QUICK, SMALL_GRID
from support.sweeping import HOURS, TINY

TRAIN = [*QUICK, "optimizer=grid", *SMALL_GRID, "backend=numpy"]  # which starts sooner
DATABASE = "storage.url=sqlite:///full/results.db"
SWEPT = "full/var/trainings.db"
POINT = [
    f"parameters.{name}={'null' if value is None else value}"
    for name, value in combination(0.001, 3, 1.5, 1.0, 50, 1.0, 2.0).items()
]


def drill(folder, size, *commands):
    """Run commands while the disk of the folder ``full`` has ``size``."""
    (folder / "full").mkdir()
    return after(small_disk(folder / "full", size), folder, *commands)


ROOM = ["sh", "mount -o remount,size=100m full"]
#: Every file on the small disk but Hydra's own and logs.
FILES = ["sh", "find full -type f -not -path '*/.hydra/*' -not -name '*.log'"]


def own_process(module, *words):
    """The command as a process of its own, which is over before the next begins."""
    return ["sh", shlex.join([sys.executable, "-m", f"pipeline.{module}", *words])]


def rows(path):
    """A command that prints how the jobs of a database stand."""
    code = (
        "import json, sqlite3\n"
        f"rows = sqlite3.connect({path!r}).execute('SELECT status FROM training_jobs')\n"
        "print(json.dumps([status for status, in rows]))"
    )
    return ["python", code]


def check_full(ended, place="full"):
    assert (ended.status, "Traceback" in ended.err) == (1, False), ended.err
    assert "Exception ignored" not in ended.err
    *_, sentence = ended.err.splitlines()
    assert "takes no more (" in sentence
    assert place in sentence


def figures(ended):
    """What a training printed, without its names."""
    assert ended.status == 0, ended.err
    return [line for line in ended.out.splitlines() if not line.startswith(("Stored", "Result"))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a training prints that has room."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (ended,) = drill(folder, "100m", ["train", *TRAIN])
    return figures(ended)


def test_a_training_whose_artifacts_find_no_room(tmp_path, undisturbed):
    words = [*TRAIN, "storage.artifacts=full"]
    full, files, jobs, _, again, after_it = drill(
        tmp_path, "12k", ["train", *words], FILES, rows("var/trainings.db"), ROOM,
        ["train", *words], rows("var/trainings.db"),
    )  # fmt: skip
    check_full(full)
    assert files.out == ""
    assert json.loads(jobs.out) == ["failed"]
    assert figures(again) == undisturbed
    assert sorted(json.loads(after_it.out)) == ["completed", "failed"]


def test_files_that_find_no_room(tmp_path):
    write(tmp_path / "candles.csv", random_candles(7, 20_000, 300_000))
    archive = ["fetch", "market=btc_binance_5m", "import=candles.csv", "data.store=full"]
    point = ["backtest", *QUICK[:3], *POINT]
    imported, written, strategy, begun, files = drill(
        tmp_path,
        "4k",
        archive,
        [*point, "json_file=full/out.json"],
        ["new_strategy", "mine", "full"],
        ["train", *TRAIN, "hydra.run.dir=full/run"],
        FILES,
    )
    for ended in (imported, written, strategy):
        check_full(ended)
    check_full(begun, "hydra.run.dir")
    assert [name for name in files.out.split() if not name.endswith(".lock")] == []


#: Where the disk is full, its size, the command, and what is left on it in the end.
MOMENTS = {
    "no database yet": ("4k", "train", DATABASE),
    "its tables": ("100k", "train", DATABASE),
    "the job's row": ("216k", "train", DATABASE),
    "its progress": ("250k", "train", DATABASE),
    "its end": ("320k", "train", DATABASE),
    "artifacts": ("4k", "train", "storage.artifacts=full"),
    "the last artifact": ("16k", "train", "storage.artifacts=full"),
    "the run's folder": ("4k", "train", "hydra.run.dir=full/run"),
    "the result's file": ("20k", "train", "hydra.run.dir=full/run"),
    "a sweep's rows": ("216k", "sweep", DATABASE),
    "a sweep's artifacts": ("4k", "sweep", "storage.artifacts=full"),
    **{f"{size}k of the database": (f"{size}k", "train", DATABASE) for size in range(60, 240, 20)},
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_moments_of_a_training(tmp_path, moment):
    size, module, word = MOMENTS[moment]
    words = [*TRAIN, word]
    if module == "sweep":
        words = ["markets=demo_null", "retry_failed=true", *TRAIN[1:], word]
    database = "full/results.db" if word == DATABASE else "var/trainings.db"
    full, _, again, jobs, other = drill(
        tmp_path, size, own_process(module, *words), ROOM, own_process(module, *words),
        rows(database), own_process(module, *words[:-1], "storage.url=sqlite:///other.db"),
    )  # fmt: skip
    assert (full.status, "Traceback" in full.err) == (1, False), full.err
    assert "takes no more (" in full.out + full.err
    assert again.status == other.status == 0
    assert set(json.loads(jobs.out)) <= {"failed", "completed"}
    if module == "train":
        assert figures(again) == figures(other)


@pytest.mark.slow
@pytest.mark.parametrize("size", [560, 620])
def test_a_sweep_whose_disk_fills_up_between_its_markets(tmp_path, size):
    """The log is written into the database by half."""
    sweep = own_process("sweep", HOURS, "executor=local", "retry_failed=true", *TINY)
    words = ["sh", f"cd full && {sweep[1]}"]
    full, _, again, jobs = drill(tmp_path, f"{size}k", words, ROOM, words, rows(SWEPT))
    assert (full.status, "Traceback" in full.err) == (1, False), full.err
    assert "takes no more (" in full.err.splitlines()[-1]
    assert "deleted" not in full.err
    assert "ended without an answer" not in full.err
    assert again.status == 0, again.err
    assert json.loads(jobs.out) == ["completed"] * 3


def test_a_file_is_replaced_whole(tmp_path, monkeypatch):
    file = tmp_path / "kept.json"
    replace_text(file, "old")

    def write_half(path, text, encoding):
        path.write_bytes(text.encode()[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", write_half)
    with pytest.raises(DiskFullError, match=r"kept\.json"):
        replace_text(file, "newer")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_is_full(code):
    error = full_disk(OSError(code, "said"), "place")
    assert error is not None
    assert (error.status, isinstance(error, UserError)) == (1, True)
    assert full_disk(OSError(errno.EACCES, "said"), "place") is None
    assert full_disk(ValueError(), "place") is None


def test_a_database_that_is_full(tmp_path):
    path = tmp_path / "results.db"
    engine = name_full_disks(create_engine(f"sqlite:///{path}"), str(path))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        connection.exec_driver_sql("CREATE TABLE t (x)")
        with pytest.raises(DatabaseFullError, match=r"results\.db"):
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")


def test_a_server_whose_disk_is_full(server):
    url = server.empty_database()
    raising = "DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$"
    full = pytest.raises(DatabaseFullError, match=r":5432/test_\w+ .*could not extend file")
    with open_database(url) as repository, repository.engine.connect() as connection, full:
        connection.exec_driver_sql(raising)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["320k", "370k", "400k"])
def test_a_queued_job_ends_once_there_is_room(tmp_path, size):
    queue = (
        "from pipeline.config import TrainConfig, load\n"
        "from pipeline.results.database import open_database\n"
        "from pipeline.training import job\n"
        f"config = load({[*TRAIN]!r}, TrainConfig, 'train')\n"
        "with open_database('sqlite:///full/results.db') as repository:\n"
        "    repository.jobs.queue([job.description(config)])\n"
    )
    words = [DATABASE, "storage.artifacts=artifacts", "concurrent=1", "idle=3"]
    dispatcher = shlex.join([sys.executable, "-m", "pipeline.dispatch", *words])
    # As a server does: a dispatcher that ended is started again.
    room_later = f"(sleep 12; {ROOM[1]}) & until {dispatcher}; do sleep 1; done; wait"
    read = (
        "import json, sqlite3\n"
        "query = 'SELECT status, error FROM training_jobs'\n"
        "print(json.dumps(sqlite3.connect('full/results.db').execute(query).fetchall()))"
    )
    queued, ended, before = drill(
        tmp_path, size, ["python", queue], ["sh", room_later], ["python", read]
    )
    assert queued.err == ""
    assert "Traceback" not in ended.err
    ((status, error),) = json.loads(before.out)
    assert status == "completed" or (status == "failed" and "takes no more (" in error), error
