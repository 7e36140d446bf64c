"""A place that may only be read serves what reads, and refuses the rest by one sentence."""

import shutil

import psycopg2
import pytest
from fastapi.testclient import TestClient

from pipeline import serve
from pipeline.cli.console import Console
from pipeline.config import StorageConfig
from pipeline.errors import ReadOnlyError, UserError
from pipeline.market_data.exchange import fetching
from pipeline.results.database import open_database
from pipeline.web.api.app import create_app
from pipeline.web.service.jobs import Settings
from pipeline.web.service.service import Service
from support.databases import JOB
from support.loopback import LoopbackBinance, candle_series
from support.namespaces import after, read_only
from support.stored import copied, fading_candles, write

START, STEP = 1_672_531_200_000, 300_000


@pytest.fixture(scope="module")
def kept(fading_once, tmp_path_factory):
    """A training with newer candles beside it, for commands that change nothing."""
    finished = copied(fading_once, tmp_path_factory.mktemp("kept"))
    write(finished.folder / "candles.parquet", fading_candles())
    return finished


def contents(folder):
    """Every file below a folder and its bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def storage_of(folder):
    """Words that name a training's database and artifacts from elsewhere."""
    places = {"url": "sqlite:///{}/var/trainings.db", "artifacts": "{}/var/artifacts"}
    return [f"storage.{key}={place.format(folder)}" for key, place in places.items()]


def check_refused(ended, *words):
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    for word in (*words, "explain, verify, report, monitor and serve still read"):
        assert word in ended.err


def test_commands_in_a_folder_that_may_only_be_read(kept, tmp_path):
    before = contents(kept.folder / "var")
    storage = storage_of(kept.folder)
    _, explained, monitored, page, *writing = after(
        read_only(kept.folder),
        tmp_path,
        ["sh", f"cp {kept.folder}/candles.parquet ."],
        ["explain", "latest", *storage],
        ["monitor", *storage],
        ["report", "latest", *storage, "-o", "page.html"],
        ["train", "market=demo", *storage],
        ["sweep", "markets=demo", *storage],
        ["dispatch", *storage],
    )
    assert (explained.status, explained.err) == (0, "")
    assert (monitored.status, page.status) == (0, 0)
    assert "1 would move to another stage" in monitored.out
    assert "nothing is recorded" in monitored.err
    assert (tmp_path / "page.html").stat().st_size > 10_000
    for ended in writing:
        check_refused(ended, "trainings.db", "Read-only file system")
    assert contents(kept.folder / "var") == before


def test_artifacts_that_may_only_be_read(kept, tmp_path):
    (trained,) = after(
        read_only(kept.folder / "var/artifacts"),
        kept.folder,
        ["train", "market=demo", f"hydra.run.dir={tmp_path}"],
    )
    check_refused(trained, "storage.artifacts", "Read-only file system")


@pytest.mark.slow
def test_a_receipt_is_made_where_nothing_may_be_written(kept):
    (verified,) = after(read_only(kept.folder), kept.folder, ["verify", "latest"])
    assert verified.status == 0


@pytest.fixture
def database(tmp_path):
    """The file of an empty database, in a folder of its own."""
    path = tmp_path / "kept" / "results.db"
    open_database(f"sqlite:///{path}").close()
    return path


def count_jobs(path):
    """A command that opens a database for reading and prints how many jobs it has."""
    code = (
        "from pipeline.results.database import open_database\n"
        f"print(len(open_database('sqlite:///{path}', read_only=True).jobs.find()))"
    )
    return ["python", code]


def test_a_log_is_read_and_no_file_is_left(database, tmp_path):
    """Without a log; beside its index while a writer lives; a log alone is not left out."""
    quiet, torn = (tmp_path / name for name in ("quiet", "torn"))
    shutil.copytree(database.parent, quiet)
    torn.mkdir()
    with open_database(f"sqlite:///{database}") as repository:
        repository.jobs.create(**JOB)
        for name in ("results.db", "results.db-wal"):
            shutil.copy(database.parent / name, torn)
        folders = (quiet, database.parent, torn)
        commands = [count_jobs(folder / "results.db") for folder in folders]
        without, beside, alone = after(read_only(*folders), "/", *commands)
    assert (without.status, without.out) == (None, "0\n")
    assert (beside.status, beside.out) == (None, "1\n")
    assert (alone.status, alone.out) == (2, "")
    assert "results.db-wal" in alone.err
    assert sorted(path.name for path in quiet.iterdir()) == ["results.db", "results.db.lock"]
    with open_database(f"sqlite:///{torn}/results.db") as repository:  # as the sentence says
        assert len(repository.jobs.find()) == 1


def test_nothing_is_made_or_migrated_for_a_reader(database):
    with (
        open_database(f"sqlite:///{database}") as repository,
        repository.engine.begin() as connection,
    ):
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UserError, match="later version"):
        open_database(f"sqlite:///{database}", read_only=True)
    empty = database.with_name("empty.db")
    empty.touch()
    with pytest.raises(UserError, match="holds no results"):
        open_database(f"sqlite:///{empty}", read_only=True)
    assert empty.read_bytes() == b""


@pytest.fixture
def roles(server):
    """A PostgreSQL with tables, and its URL for a role that may read, and one that is set to."""
    url = server.empty_database()
    open_database(url).close()
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for role in ("reader", "setting"):
            cursor.execute(f"CREATE ROLE {role}_{name} LOGIN PASSWORD 'hush'")
        cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{name}")
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO setting_{name}")
        cursor.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO setting_{name}")
        cursor.execute(f"ALTER ROLE setting_{name} SET default_transaction_read_only = on")
    connection.close()
    address = f"/{name}?host={server.folder}"
    return url, [f"postgresql://{role}_{name}:hush@{address}" for role in ("reader", "setting")]


def test_a_role_that_may_only_read(roles):
    owner, readers = roles
    with open_database(owner) as repository:
        repository.jobs.create(**JOB)
    for url, reason in zip(readers, ("may not write to", "read_only is on"), strict=True):
        with pytest.raises(ReadOnlyError, match=reason):
            open_database(url)
        with open_database(url, read_only=True) as repository:
            assert len(repository.jobs.find()) == 1
            assert repository.read_only


def test_a_server_over_a_place_that_may_only_be_read(kept, monkeypatch):
    url = f"sqlite:///{kept.folder}/var/trainings.db"
    storage = StorageConfig(url=url, artifacts=f"{kept.folder}/var/artifacts", patience=60)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # as the system says of such a file
    repository, notice = serve._opened(storage, Console())
    (row,) = repository.configurations.find()
    app = create_app(Service(repository, Settings(storage, read_only=notice)))
    with repository, TestClient(app, base_url="http://127.0.0.1:8080") as client:
        for path in ("", f"/{row.id}", f"/{row.id}/explanation", f"/{row.id}/audit", "/active"):
            assert client.get(f"/api/configurations{path}").status_code == 200
        assert client.get("/api/training/jobs").json()["jobs"][0]["status"] == "completed"
        changes = [
            ("training/start", {"markets": ["demo"]}),
            ("training/estimate", {"markets": ["demo"]}),
            (f"training/jobs/{row.job_id}/cancel", None),
            (f"training/jobs/{row.job_id}/restart", None),
            (f"configurations/{row.id}/activate", {"reason": "because"}),
            (f"configurations/{row.id}/deactivate", {"reason": "because"}),
            (f"configurations/{row.id}/execution", {}),
        ]
        for path, body in changes:
            answer = client.post(f"/api/{path}", json=body)
            assert (answer.status_code, answer.json()["detail"]) == (403, notice), path
        with pytest.raises(ReadOnlyError):
            Service(repository, Settings(storage, read_only=notice)).cancel(row.job_id)


FETCHING = """
from pipeline.market_data.exchange import fetching
from support.databases import JOB
from support.loopback import LoopbackBinance, candle_series
start, step = 1_672_531_200_000, 300_000
with LoopbackBinance({"5m": candle_series(1_000)}, now=start + 900 * step) as exchange:
    request = fetching.CandleRequest("binance", "BTC/USDT", "5m", start, start + 600 * step)
    fetched = fetching.fetch_ccxt(request, STORE, on_note=print, client=exchange.client())
    print(len(fetched.raw))
"""


def test_a_store_that_may_only_be_read(tmp_path):
    """What it has is used; what it lacks is fetched and not kept; a fetch is refused."""
    store = tmp_path / "candles"
    binance = LoopbackBinance({"5m": candle_series(1_000)}, now=START + 900 * STEP)
    short = fetching.CandleRequest("binance", "BTC/USDT", "5m", START, START + 300 * STEP)
    with binance:
        fetching.fetch_ccxt(short, store, client=binance.client())
    before = contents(store)
    ended, fetch = after(
        read_only(store),
        tmp_path,
        ["python", f"STORE = {str(store)!r}{FETCHING}"],
        ["fetch", "market=btc_binance_5m", f"data.store={store}"],
    )
    note, count = ended.out.splitlines()
    assert (ended.status, count) == (None, "600")
    assert "may only be read" in note
    assert (fetch.status, fetch.out) == (2, "")
    assert "data.store" in fetch.err
    assert contents(store) == before
