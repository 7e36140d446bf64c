"""What befalls a store: damaged files, lost files, earlier and later versions of the program."""

import json
from hashlib import sha256

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DiskFullError, UserError
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.store import month as month_module
from pipeline.market_data.store.store import EMPTY, load, save

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


def flip(file):
    """Change a byte of the month's record."""
    content = bytearray(file.read_bytes())
    content[content.index(b'"sources"') + 3] ^= 1
    file.write_bytes(content)


def test_a_damaged_month_is_named_set_aside_and_asked_for_again(path):
    content = bytearray((path / "2023-02.parquet").read_bytes())
    content[len(content) // 4] ^= 1
    (path / "2023-02.parquet").write_bytes(content)
    stored = load(path)
    (note,) = stored.notes
    assert f"{path / '2023-02.parquet'} is damaged (" in note
    assert "it was renamed _2023-02.parquet.damaged-1" in note
    assert stored.missing(JANUARY - 31 * DAY, APRIL) == [(FEBRUARY, MARCH)]
    assert len(stored.rows) == 59 + 31 - 28
    assert (path / "_2023-02.parquet.damaged-1").exists()
    again = load(path)
    assert (again.notes, again.answered) == ((), stored.answered)


def test_a_fetch_after_damage_makes_the_store_whole_and_keeps_what_was_set_aside(path):
    whole = load(path)
    for number in (1, 2):
        flip(path / "2023-02.parquet")
        save(path, load(path).add([days(FEBRUARY, MARCH)]), "test")
        assert (path / f"_2023-02.parquet.damaged-{number}").exists()
    mended = load(path)
    assert mended.answered == whole.answered
    for name in COLUMNS:
        np.testing.assert_array_equal(
            getattr(mended.rows, name), getattr(whole.rows, name), strict=True
        )


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 100])
def test_what_is_no_parquet_is_damaged(path, content):
    (path / "2023-03.parquet").write_bytes(content)
    assert "2023-03.parquet is damaged (it cannot be read: " in load(path).notes[0]


def test_a_month_under_another_name_is_damaged(path):
    (path / "2023-03.parquet").write_bytes((path / "2023-02.parquet").read_bytes())
    stored = load(path)
    assert "it holds candles of another month" in stored.notes[0]
    assert stored.missing(JANUARY, APRIL) == [(MARCH, APRIL)]


def test_candles_that_somebody_laid_into_the_folder_are_not_the_stores(path):
    table = pyarrow.parquet.read_table(path / "2023-02.parquet").replace_schema_metadata(None)
    pyarrow.parquet.write_table(table, path / "2023-02.parquet")
    (note,) = load(path).notes
    assert "this store did not write it so; candles of your own are brought in with" in note


def test_a_month_that_is_gone_is_asked_for_again(path):
    (path / "2023-02.parquet").unlink()
    assert load(path).missing(JANUARY, APRIL) == [(FEBRUARY, MARCH)]


def test_a_month_without_candles_is_guarded_as_any_other(path):
    file = path / "2022-12.parquet"
    assert load(path).missing(JANUARY - 31 * DAY, JANUARY) == []
    file.rename(path / "2022-11.parquet")
    assert "2022-11.parquet is damaged (it holds candles of another month" in load(path).notes[0]
    save(path, load(path).add([(np.empty((0, 6)), (JANUARY - 31 * DAY, JANUARY))]), "test")
    flip(file)
    assert "2022-12.parquet is damaged (" in load(path).notes[0]
    assert load(path).missing(JANUARY - 31 * DAY, APRIL) == [(JANUARY - 31 * DAY, JANUARY)]


def test_what_a_kill_left_half_written_is_removed(path):
    (path / ".2023-04.parquet.tmp").write_bytes(b"PAR1 half")
    assert load(path).notes == ()
    assert not list(path.glob(".*"))


@given(st.data())
def test_no_changed_byte_goes_unnoticed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("store") / "1d"
    none = np.empty((0, 6)), (JANUARY - 31 * DAY, JANUARY)
    save(path, EMPTY.add([none, days(JANUARY, APRIL)]), "test")
    whole = load(path)
    file = data.draw(st.sampled_from(sorted(path.iterdir())))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    stored = load(path)
    there = np.isin(whole.rows.timestamp, stored.rows.timestamp)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(stored.rows, name), getattr(whole.rows, name)[there])
    lost = whole.rows.timestamp[~there].tolist()
    gaps = stored.missing(JANUARY - 31 * DAY, APRIL)
    assert lost == [t for a, b in gaps for t in range(a, b, DAY) if t >= JANUARY]
    assert bool(stored.notes) >= bool(gaps)


def test_what_a_later_version_wrote_is_refused_and_left_alone(path, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(month_module, "SCHEMA", 4)
        save(path, load(path).add([days(FEBRUARY, FEBRUARY + DAY)]), "test")
        (path / "2023-01.parquet").unlink()
        save(path, load(path).add([days(JANUARY, FEBRUARY)]), "test")
    flip(path / "2023-03.parquet")
    before = sorted(file.name for file in path.iterdir())
    with pytest.raises(UserError, match=r"written by a later version .*layout 4.*up to 3.*update"):
        load(path)
    assert sorted(file.name for file in path.iterdir()) == before


def test_a_full_disk_is_a_sentence_and_leaves_the_store_as_it_was(path, monkeypatch):
    stored = load(path)

    def write_half(table, file, **_):
        file.write_bytes(b"PAR1 half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(pyarrow.parquet, "write_table", write_half)
        with pytest.raises(
            DiskFullError, match=r"/1d/\S+ takes no more \(No space left on device\)"
        ):
            save(path, stored.add([days(APRIL, APRIL + DAY)]), "test")
    assert load(path).answered == stored.answered
    assert not list(path.glob(".*"))


def write_former_layout(path, page):
    """A month and a manifest as layout 2 wrote them, after a December without a file."""
    rows, (start, end) = page
    path.mkdir()
    candles = EMPTY.add([page]).rows
    record = {
        "schema": 2,
        "rows": len(rows),
        "first": int(rows[0, 0]),
        "last": int(rows[-1, 0]),
        "gaps": 0,
        "sha256": month_module.content_hash(candles),
        "sources": ["archive.zip"],
        "fetched_at": "2026-08-01T00:00:00+00:00",
        "answered": [[start, end]],
    }
    text = json.dumps(record).encode()
    seal = sha256(text).hexdigest().encode()
    table = pyarrow.table({name: getattr(candles, name) for name in COLUMNS})
    table = table.replace_schema_metadata({"candle_month": text, "candle_month_sha256": seal})
    pyarrow.parquet.write_table(table, path / "2023-01.parquet", compression="zstd")
    manifest = {
        "schema": 2,
        "months": {"2023-01": record},
        "answered_empty": [[start - DAY, start]],
    }
    seal = sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (path / "_manifest.json").write_text(json.dumps({**manifest, "sha256": seal}))


def test_a_store_of_layout_2_is_read_and_its_manifest_replaced(tmp_path):
    """The manifest alone held the answers of months without candles: they get files."""
    path = tmp_path / "1d"
    page = days(JANUARY, FEBRUARY)
    write_former_layout(path, page)
    stored = load(path)
    assert (stored.answered, stored.notes) == (((JANUARY - DAY, FEBRUARY),), ())
    np.testing.assert_array_equal(stored.rows.close, page[0][:, 4])
    written = (path / "2023-01.parquet").stat().st_mtime_ns
    save(path, stored, "test")
    assert sorted(file.name for file in path.iterdir()) == ["2022-12.parquet", "2023-01.parquet"]
    assert load(path).answered == stored.answered
    assert (path / "2023-01.parquet").stat().st_mtime_ns == written


def test_a_manifest_that_was_changed_is_not_believed(tmp_path):
    path = tmp_path / "1d"
    page = days(JANUARY, FEBRUARY)
    write_former_layout(path, page)
    file = path / "_manifest.json"
    file.write_text(file.read_text().replace(str(JANUARY - DAY), str(JANUARY - 9 * DAY)))
    assert load(path).answered == (page[1],)


def test_a_store_of_one_file_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "1d.parquet").write_bytes(b"a market")
    with pytest.raises(UserError, match=r"Move it out .*import=FILE"):
        load(tmp_path / "1d")
    assert (tmp_path / "1d.parquet").read_bytes() == b"a market"
