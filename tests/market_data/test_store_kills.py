"""A store is valid wherever the writing is cut off: at every step, and by SIGKILL at any moment."""

import errno
import json
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from pipeline.errors import DiskFullError
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.store.store import (
    EMPTY,
    load,
    locked,
    month_files,
    read_without_lock,
    save,
)

DAY = 86_400_000
START = 1_672_531_200_000  # 2023-01-01
BEFORE = START - 60 * DAY  # from here on asked for, and empty until START


def page(first, last, version=1):
    """A row a day in ``[first, last)``, days from START; its prices tell day and version."""
    bars = np.arange(first, last)
    rows = np.repeat((bars + 1000.0 * version)[:, None], 6, axis=1)
    rows[:, 0] = START + bars * DAY
    return rows, (START + first * DAY, START + last * DAY)


NONE = np.empty((0, 6)), (BEFORE, START)
OLD = EMPTY.add([NONE, page(0, 70)])


class Killed(BaseException):
    """Nothing of ours catches it."""


@pytest.fixture
def killed_at(monkeypatch):
    """Run a function whose n-th change to the disk and all later ones never happen."""

    def run(n, function):
        left = n
        with monkeypatch.context() as patch:
            for name in ("replace", "rename", "unlink"):
                change = getattr(Path, name)

                def counted(self, *args, change=change, **options):
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise Killed
                    return change(self, *args, **options)

                patch.setattr(Path, name, counted)
            try:
                function()
            except Killed:
                return True
        return False

    return run


def at_every_step(killed_at, path, prepare, change):
    """Yield the store as the next run finds it, for every step at which ``change`` is cut off."""
    for n in range(100):
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir()
        prepare()
        killed = killed_at(n, change)
        yield load(path)
        change()
        assert not list(path.glob(".*"))
        if not killed:
            assert n > 0  # it was cut off at least once
            return
    pytest.fail("it never came to an end")


def assert_valid(stored, *versions):
    """Every day is as in one of the versions, and what is answered without a candle has none."""
    closes = {v: dict(zip(v.rows.timestamp, v.rows.close, strict=True)) for v in versions}
    candles = dict(zip(stored.rows.timestamp, stored.rows.close, strict=True))
    for start, end in stored.answered:
        for t in range(start, end, DAY):
            assert any(candles.get(t) == closes[v].get(t) for v in versions)
    assert stored.rows.timestamp.tolist() == sorted(candles)


def assert_same(stored, other):
    assert stored.answered == other.answered
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(stored.rows, name), getattr(other.rows, name))


def test_a_save_cut_off_anywhere_leaves_all_months_old_or_all_new(killed_at, tmp_path):
    path = tmp_path / "market" / "1d"
    new = OLD.add([page(20, 130, version=2), page(-20, -10, version=2)])
    steps = at_every_step(
        killed_at, path, lambda: save(path, OLD, "old"), lambda: save(path, new, "new")
    )
    states = []
    for stored in steps:
        assert stored.notes == ()
        states.append(len(stored.rows))
        assert_same(stored, new if len(stored.rows) == len(new.rows) else OLD)
    assert states == sorted(states)
    assert states.count(len(OLD.rows)) == 1 < states.count(len(new.rows))
    assert_same(load(path), new)


def test_who_has_no_lock_reads_all_months_old_or_all_new(killed_at, tmp_path):
    """Whoever looks first at what a kill left behind moves the rest."""
    path = tmp_path / "market" / "1d"
    new = EMPTY.add([page(40, 70, version=2)])  # some of its months go
    span, seen = (BEFORE, START + 200 * DAY), []
    for n in range(100):
        shutil.rmtree(path, ignore_errors=True)
        save(path, OLD, "old")
        killed = killed_at(n, lambda: save(path, new, "new"))
        seen.append(read_without_lock(path, *span, RawCandles).timestamp.tolist())
        assert seen[-1] in (OLD.rows.timestamp.tolist(), new.rows.timestamp.tolist())
        if not killed:
            break
    assert seen[0] != seen[-1] == seen[-2]


def test_who_has_no_lock_waits_for_a_living_save_only_a_moment(tmp_path, monkeypatch):
    path = tmp_path / "market" / "1d"
    save(path, OLD, "old")
    digest = sha256((path / "2023-01.parquet").read_bytes()).hexdigest()
    (path / "_moves.json").write_text(json.dumps({"2023-01.parquet": digest}))
    monkeypatch.setattr("pipeline.market_data.store.store.MOVES_WAIT_S", 0.02)
    with locked(path):
        assert len(month_files(path)) == 5
        assert (path / "_moves.json").exists()
    assert len(month_files(path)) == 5
    assert not (path / "_moves.json").exists()


@pytest.mark.parametrize(
    "listed",
    [
        "",
        '{"2023-0',
        "[]",
        "null",
        "[" * 100_000,
        '{"2023-01.parquet": 3}',
        '{"2023-01.parquet": "00"}',
        '{"2023-02.parquet": null, "2029-01.parquet": "00"}',
        '{"../../mine.txt": null}',
        '{"/mine.txt": null}',
        '{"\\u0000x": null}',
        '{"..": null}',
        '{"": null}',
    ],
)
def test_a_list_of_moves_that_cannot_be_followed_moves_nothing_and_is_told(tmp_path, listed):
    path, mine = tmp_path / "market" / "1d", tmp_path / "mine.txt"
    save(path, OLD, "old")
    mine.write_text("mine")
    (path / "_moves.json").write_text(listed)
    assert len(month_files(path)) == 5
    (path / "_moves.json").write_text(listed)
    stored = load(path)
    assert_valid(stored, OLD)
    assert ["_moves.json.damaged-2" in note for note in stored.notes] == [True]
    assert mine.read_text() == "mine"
    assert load(path).notes == ()


def test_ctrl_c_while_the_list_is_put_in_place_leaves_what_can_be_moved(tmp_path, monkeypatch):
    path = tmp_path / "market" / "1d"
    save(path, OLD, "old")
    new = EMPTY.add([page(40, 70, version=2)])
    replace = Path.replace

    def interrupted(self, target):
        moved = replace(self, target)
        if Path(target).name == "_moves.json":
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(path, new, "new")
    monkeypatch.undo()
    assert_valid(load(path), new)


def test_a_first_save_cut_off_anywhere_answers_for_what_is_there(killed_at, tmp_path):
    path = tmp_path / "market" / "1d"
    for stored in at_every_step(killed_at, path, lambda: None, lambda: save(path, OLD, "new")):
        assert stored.notes == ()
        assert_valid(stored, OLD)
        assert len(stored.missing(START, START + 70 * DAY)) <= 1
    assert_same(load(path), OLD)


def test_months_on_the_way_out_are_asked_for_again_or_still_there(killed_at, tmp_path):
    path = tmp_path / "market" / "1d"
    new = EMPTY.add([page(40, 70)])
    steps = at_every_step(
        killed_at, path, lambda: save(path, OLD, "old"), lambda: save(path, new, "new")
    )
    for stored in steps:
        assert_valid(stored, OLD)
    assert_same(load(path), new)


@pytest.mark.parametrize("nth", range(4))
def test_a_disk_that_fills_up_at_the_nth_month_leaves_the_store_as_it_was(
    tmp_path, monkeypatch, nth
):
    path = tmp_path / "market" / "1d"
    save(path, OLD, "old")
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    write, left = pyarrow.parquet.write_table, iter(range(nth))

    def written(table, file, **options):
        if next(left, None) is None:
            file.write_bytes(b"PAR1")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, file, **options)

    monkeypatch.setattr(pyarrow.parquet, "write_table", written)
    new = OLD.add([page(20, 130, version=2)])
    with pytest.raises(DiskFullError):
        save(path, new, "new")
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    monkeypatch.undo()
    save(path, new, "new")
    assert_same(load(path), new)


def test_setting_a_damaged_month_aside_may_be_cut_off(killed_at, tmp_path):
    """February was answered without candles, then with some, and is torn."""
    path = tmp_path / "market" / "1d"
    hollow = EMPTY.add([(np.empty((0, 6)), (BEFORE, START + 59 * DAY)), page(59, 90)])

    def prepare():
        save(path, hollow, "old")
        save(path, hollow.add([page(40, 50)]), "new")
        (path / "2023-02.parquet").write_bytes(b"torn")

    for stored in at_every_step(killed_at, path, prepare, lambda: load(path)):
        assert stored.missing(BEFORE, START + 90 * DAY) == [(START + 31 * DAY, START + 59 * DAY)]
    assert [file.name for file in path.glob("*damaged*")] == ["_2023-02.parquet.damaged-1"]


WRITER = """
import sys
from pathlib import Path
import numpy as np
from pipeline.market_data.store.store import load, locked, save
path, start, days = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
while True:
    with locked(path):
        stored = load(path)
        missing = stored.missing(start, start + days * 86_400_000)
        if not missing:
            break
        times = np.arange(missing[0][0], min(missing[0][0] + 25 * 86_400_000, missing[0][1]),
                          86_400_000)
        rows = np.repeat(times[:, None] / 86_400_000, 6, axis=1)
        rows[:, 0] = times
        page = rows, (int(times[0]), int(times[-1]) + 86_400_000)
        save(path, stored.add([page]), "drill")
        print("saved", flush=True)
"""


def writer(path, days):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(START), str(days)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_sigkill_at_random_moments_loses_nothing_that_was_saved(tmp_path, kills):
    path = tmp_path / "market" / "1d"
    rng = np.random.default_rng(kills)
    kept = 0
    for _ in range(kills):
        process = writer(path, 20_000)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.communicate()
        with locked(path):
            stored = load(path)
        assert stored.notes == ()
        assert len(stored.rows) >= kept + 25
        kept = len(stored.rows)
        assert stored.answered == ((START, START + kept * DAY),)
    print(f"{kills} kills, {kept} candles held after the last")
    assert writer(path, kept + 100).communicate()[0].split() == [b"saved"] * 4
    stored = load(path)
    np.testing.assert_array_equal(stored.rows.timestamp, START + DAY * np.arange(kept + 100))
    np.testing.assert_array_equal(stored.rows.close, stored.rows.timestamp / DAY)


def test_two_writers_at_once_end_in_one_store(tmp_path):
    path, days = tmp_path / "market" / "1d", 400
    processes = [writer(path, days) for _ in range(2)]
    pages = [process.communicate(timeout=60)[0].count(b"saved") for process in processes]
    assert sum(pages) == days / 25
    stored = load(path)
    assert stored.answered == ((START, START + days * DAY),)
    np.testing.assert_array_equal(stored.rows.timestamp, START + DAY * np.arange(days))
    np.testing.assert_array_equal(stored.rows.close, stored.rows.timestamp / DAY)
