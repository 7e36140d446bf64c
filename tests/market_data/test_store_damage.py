"""What befalls a store: damaged files, lost files, earlier and later versions of the program."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.store import month as month_module
from pipeline.market_data.store.store import EMPTY, MANIFEST, load, read_manifest, save

DAY = 86_400_000
JANUARY, FEBRUARY, MARCH, APRIL = (
    int(np.datetime64(f"2023-0{n}", "ms").astype(np.int64)) for n in (1, 2, 3, 4)
)


def days(start, end):
    """A page of a row a day, each with prices of its own."""
    times = np.arange(start, end, DAY)
    prices = 1.0 + times[:, None] / DAY + np.arange(5) / 10
    return np.column_stack([times, prices]), (start, end)


@pytest.fixture
def path(tmp_path):
    """January to March, after a December that the exchange did not have."""
    none = np.empty((0, 6)), (JANUARY - 31 * DAY, JANUARY)
    save(tmp_path / "1d", EMPTY.add([none, days(JANUARY, APRIL)]), "test")
    return tmp_path / "1d"


def flip(file, position=None):
    content = bytearray(file.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    file.write_bytes(content)


def test_a_damaged_month_is_named_set_aside_and_asked_for_again(path):
    flip(path / "2023-02.parquet")
    stored = load(path, DAY)
    (note,) = stored.notes
    assert f"{path / '2023-02.parquet'} is damaged (" in note
    assert "it was renamed _2023-02.parquet.damaged-1" in note
    assert stored.missing(JANUARY - 31 * DAY, APRIL) == [(FEBRUARY, MARCH)]
    assert len(stored.candles) == 59 + 31 - 28
    assert (path / "_2023-02.parquet.damaged-1").exists()
    assert list(read_manifest(path).months) == ["2023-01", "2023-03"]
    again = load(path, DAY)
    assert (again.notes, again.answered) == ((), stored.answered)


def test_a_fetch_after_damage_makes_the_store_whole_and_keeps_what_was_set_aside(path):
    whole = load(path, DAY)
    for number in (1, 2):
        flip(path / "2023-02.parquet")
        save(path, load(path, DAY).add([days(FEBRUARY, MARCH)]), "test")
        assert (path / f"_2023-02.parquet.damaged-{number}").exists()
    mended = load(path, DAY)
    assert mended.answered == whole.answered
    for name in COLUMNS:
        np.testing.assert_array_equal(
            getattr(mended.candles, name), getattr(whole.candles, name), strict=True
        )


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 100])
def test_what_is_no_parquet_is_damaged(path, content):
    (path / "2023-03.parquet").write_bytes(content)
    assert "2023-03.parquet is damaged (it cannot be read: " in load(path, DAY).notes[0]


def test_a_month_under_another_name_is_damaged(path):
    (path / "2023-03.parquet").write_bytes((path / "2023-02.parquet").read_bytes())
    stored = load(path, DAY)
    assert "it holds candles of another month" in stored.notes[0]
    assert stored.missing(JANUARY, APRIL) == [(MARCH, APRIL)]


def test_candles_that_somebody_laid_into_the_folder_are_not_the_stores(path):
    table = pyarrow.parquet.read_table(path / "2023-02.parquet").replace_schema_metadata(None)
    pyarrow.parquet.write_table(table, path / "2023-02.parquet")
    (note,) = load(path, DAY).notes
    assert "this store did not write it so; candles of your own are brought in with" in note


def test_a_month_that_is_gone_is_named_and_asked_for_again(path):
    (path / "2023-02.parquet").unlink()
    stored = load(path, DAY)
    assert stored.notes == (f"{path / '2023-02.parquet'} is gone; its time will be fetched again.",)
    assert stored.missing(JANUARY, APRIL) == [(FEBRUARY, MARCH)]
    assert load(path, DAY).notes == ()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"sha256": "0"}', b"\xff", b"[" * 100_000]
)
def test_a_damaged_manifest_is_rebuilt_from_the_months(path, content):
    months = read_manifest(path).months
    (path / MANIFEST).write_bytes(content)
    stored = load(path, DAY)
    assert f"The manifest of {path} was damaged (" in stored.notes[0]
    assert stored.answered == ((JANUARY, APRIL),)  # that December was asked for is forgotten
    assert read_manifest(path).months == months
    assert load(path, DAY).notes == ()


def test_a_lost_manifest_is_rebuilt_without_a_word(path):
    (path / MANIFEST).unlink()
    stored = load(path, DAY)
    assert (stored.notes, stored.answered) == ((), ((JANUARY, APRIL),))


def test_what_a_kill_left_half_written_is_removed(path):
    (path / ".2023-04.parquet.tmp").write_bytes(b"PAR1 half")
    assert load(path, DAY).notes == ()
    assert not list(path.glob(".*"))


@given(st.data())
def test_no_changed_byte_goes_unnoticed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("store") / "1d"
    save(path, EMPTY.add([days(JANUARY, APRIL)]), "test")
    whole = load(path, DAY)
    file = data.draw(st.sampled_from(sorted(path.iterdir())))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    stored = load(path, DAY)
    there = np.isin(whole.candles.timestamp, stored.candles.timestamp)
    for name in COLUMNS:
        np.testing.assert_array_equal(
            getattr(stored.candles, name), getattr(whole.candles, name)[there]
        )
    lost = whole.candles.timestamp[~there].tolist()
    missing = [t for a, b in stored.missing(JANUARY, APRIL) for t in range(a, b, DAY)]
    assert lost == missing
    assert bool(stored.notes) >= bool(lost)


@pytest.mark.parametrize("manifest", [True, False])
def test_what_a_later_version_wrote_is_refused_and_left_alone(path, monkeypatch, manifest):
    with monkeypatch.context() as later:
        later.setattr(month_module, "SCHEMA", 3)
        later.setattr("pipeline.market_data.store.store.SCHEMA", 3)
        save(path, load(path, DAY).add([days(FEBRUARY, FEBRUARY + DAY)]), "test")
        if not manifest:
            (path / "2023-01.parquet").unlink()
            save(path, load(path, DAY).add([days(JANUARY, FEBRUARY)]), "test")
            (path / MANIFEST).unlink()
    before = sorted(file.name for file in path.iterdir())
    with pytest.raises(UserError, match=r"written by a later version .*layout 3.*up to 2.*update"):
        load(path, DAY)
    assert sorted(file.name for file in path.iterdir()) == before


def test_a_damaged_manifest_without_a_month_is_named_once(tmp_path):
    save(tmp_path / "1d", EMPTY, "test")
    (tmp_path / "1d" / MANIFEST).write_bytes(b"")
    assert len(load(tmp_path / "1d", DAY).notes) == 1
    assert load(tmp_path / "1d", DAY).notes == ()


def test_a_full_disk_is_a_sentence_and_leaves_the_store_as_it_was(path, monkeypatch):
    stored = load(path, DAY)

    def write_half(table, file, **_):
        file.write_bytes(b"PAR1 half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(pyarrow.parquet, "write_table", write_half)
        with pytest.raises(UserError, match=r"Candles cannot be kept in .*1d: No space left.*room"):
            save(path, stored.add([days(APRIL, APRIL + DAY)]), "test")
    assert load(path, DAY).answered == stored.answered
    assert not list(path.glob(".*"))


def write_one_file(path, pages, spans):
    """A market as layout 1 kept it."""
    candles = EMPTY.add(pages).candles
    table = pyarrow.table({name: getattr(candles, name) for name in COLUMNS})
    metadata = None if spans is None else {"answered_spans": json.dumps(spans)}
    file = path.with_name(f"{path.name}.parquet")
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
    return file


def test_a_market_of_layout_1_is_taken_over(tmp_path):
    path = tmp_path / "1d"
    file = write_one_file(path, [days(FEBRUARY - DAY, MARCH)], [[JANUARY, MARCH]])
    stored = load(path, DAY)
    assert stored.answered == ((JANUARY, MARCH),)
    assert not file.exists()
    assert sorted(p.name for p in path.glob("*.parquet")) == ["2023-01.parquet", "2023-02.parquet"]
    again = load(path, DAY)
    assert (again.notes, again.answered) == ((), stored.answered)
    np.testing.assert_array_equal(again.candles.close, stored.candles.close)
    assert read_manifest(path).months["2023-02"].sources == ("1d.parquet",)


def test_a_file_from_elsewhere_answers_for_its_own_time(tmp_path):
    write_one_file(tmp_path / "1d", [days(JANUARY, JANUARY + 3 * DAY)], None)
    assert load(tmp_path / "1d", DAY).answered == ((JANUARY, JANUARY + 3 * DAY),)


def test_a_takeover_that_was_cut_short_is_finished(path):
    """Its months are newer than the one file, which is then removed."""
    old, span = days(FEBRUARY, APRIL + DAY)
    old[:, 1:] += 1000
    file = write_one_file(path, [(old, span)], [span])
    stored = load(path, DAY)
    assert stored.answered == ((JANUARY - 31 * DAY, APRIL + DAY),)
    assert (stored.candles.close > 1000 + APRIL / DAY).sum() == 1
    assert not file.exists()


def test_a_damaged_file_of_layout_1_is_set_aside(path):
    file = path.with_name("1d.parquet")
    file.write_bytes(b"PAR1 no more")
    stored = load(path, DAY)
    assert "cannot be read as parquet" in stored.notes[0]
    assert "renamed _1d.parquet.damaged-1" in stored.notes[0]
    assert (len(stored.candles), file.exists()) == (90, False)
