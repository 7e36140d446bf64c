"""Files of artifacts that are none, claim too much, or hold other types and shapes: each is a
reason at once, however large it says it is.
"""

import io
import json
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_engine import TRADE
from pipeline.results.artifacts.artifact_set import (
    SEARCH,
    ArtifactSet,
    DailySeries,
    NullDistribution,
    ScoreSummary,
    ScoreSurface,
    read_artifacts,
    read_series,
    write_artifacts,
)
from pipeline.results.artifacts.digests import check_file, differences, digests_of
from pipeline.results.artifacts.drawn_trials import DrawnTrials
from support.parameters import DEPTH, SPREAD

pytestmark = pytest.mark.hostile

ID = "LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3"
NAMES = ("in_sample.parquet", "out_of_sample.parquet", "trades.parquet", "windows.json")
NAMES += ("scores.npz", "summary.npz", "null.npz", "trials.parquet")
DAYS = np.arange(19_358, 19_448, dtype=np.int32)


@pytest.fixture
def folder(tmp_path):
    """The folder of a configuration that has every file."""
    axes = {DEPTH: [0.001, 0.002], SPREAD: [None, 1.0, 2.0]}
    trades = np.zeros(3, TRADE)
    trades["side"] = 1
    whole = ArtifactSet(
        DailySeries(DAYS, np.ones(90)),
        DailySeries(DAYS, *np.ones((3, 90))),
        trades,
        [{"train": [0, 90]}],
        ScoreSurface(axes, {"net_profit": np.ones((2, 3), np.float32)}),
        ScoreSummary(axes, np.arange(2), np.ones(2), {(DEPTH, SPREAD): np.ones((2, 3))}),
        NullDistribution(1.0, np.ones(5), None, {"permuted": np.ones(4)}),
        DrawnTrials({DEPTH: np.ones(3)}, {"score": np.ones(3)}),
    )
    write_artifacts(tmp_path, ID, whole)
    assert set(NAMES) == {path.name for path in (tmp_path / ID).iterdir()}
    return tmp_path / ID


def refused(folder):
    """Read the folder; return why not, and hold the memory that it took."""
    tracemalloc.start()
    try:
        with pytest.raises((OSError, ValueError)) as refusal:
            read_artifacts(folder.parent, ID)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    return str(refusal.value)


def pipe(path):
    os.mkfifo(path)


def folder_instead(path):
    path.mkdir()


def link_outside(path):
    outside = path.parent.parent / "outside"
    outside.write_bytes(b"secret")
    path.symlink_to(outside)


def link_to_a_device(path):
    path.symlink_to("/dev/zero")


def link_to_nothing(path):
    path.symlink_to("nothing")


def link_to_itself(path):
    path.symlink_to(path)


def socket_instead(path):
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(path.parent)  # the name of a socket is short
        try:
            listening.bind(path.name)
        finally:
            os.chdir(before)


ODD = [pipe, folder_instead, link_outside, link_to_a_device, link_to_nothing, link_to_itself]
ODD += [socket_instead]


def test_only_a_file_that_is_to_be_read_is_compared(folder):
    digests = digests_of(folder)
    for name in NAMES:
        (folder / name).write_bytes(b"edited")
    others = [f"artifact {name} is not what was stored" for name in sorted(digests)]
    assert differences(folder, digests, None, SEARCH) == [
        clause for clause in others if not any(f" {name} " in clause for name in SEARCH)
    ]
    (folder / SEARCH[0]).unlink()  # that one is gone is seen without a look at it
    assert differences(folder, digests, None, digests) == [f"artifact {SEARCH[0]} is gone"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_plain_file(folder, name, odd):
    digests = digests_of(folder)
    (folder / name).unlink()
    odd(folder / name)
    assert refused(folder) == f"{name} is no plain file"
    assert differences(folder, digests) == [f"artifact {name} is not what was stored"]


def test_a_series_that_is_a_pipe_is_not_waited_for(folder):
    digest = digests_of(folder)["out_of_sample.parquet"]
    path = folder / "out_of_sample.parquet"
    path.unlink()
    pipe(path)
    with pytest.raises(ValueError, match="is no plain file"):
        read_series(path)
    with pytest.raises(ValueError, match="is not what was stored"):
        check_file(path, digest)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"PAR1", b"PK\x03\x04", b"[" * 100_000])
def test_content_of_another_kind(folder, name, content):
    (folder / name).write_bytes(content)
    assert refused(folder).startswith(f"{name}: ")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_holes_of_any_size(folder, name):
    os.truncate(folder / name, 5 << 30)
    digests = dict.fromkeys(NAMES, "")
    assert "5,368,709,120 bytes, more than" in refused(folder)
    assert not any(name in clause and "read" in clause for clause in differences(folder, digests))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_short_anywhere(folder, name):
    content = (folder / name).read_bytes()
    for length in range(0, len(content) - 1, max(1, len(content) // 12)):
        (folder / name).write_bytes(content[:length])
        assert name in refused(folder)


def header(shape, kind="<f4"):
    """An npy file that claims a shape and has one number."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8)


def npz(path, members, packed=zipfile.ZIP_STORED):
    """Replace members of an archive."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, text in (content | members).items():
            archive.writestr(name, text)


def npy(values):
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


BAD_ARRAYS = {
    "claim": header("(1000000000000,)"),
    "claims": header("(1000000, 1000000)"),
    "less than it has": header("(1,)"),
    "negative": header("(-1, -2)", "<f4"),
    "objects": header("(1,)", "|O"),
    "texts": npy(np.array(["a", "b"])),
    "whole": npy(np.ones((2, 3, 4), np.int16)),
    "version": npy(np.ones(2)).replace(b"NUMPY\x01", b"NUMPY\x03"),
    "no array": b"12345678",
}


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("scores.npz", "net_profit"),
        ("scores.npz", "axes"),
        ("summary.npz", "index"),
        ("summary.npz", f"{DEPTH}|{SPREAD}"),
        ("null.npz", "maxima"),
        ("null.npz", "found"),
        ("null.npz", "surrogate_permuted"),
    ],
)
@pytest.mark.parametrize("bad", BAD_ARRAYS)
def test_arrays_that_are_not_what_they_claim(folder, name, member, bad):
    npz(folder / name, {f"{member}.npy": BAD_ARRAYS[bad]})
    assert refused(folder).startswith(f"{name}: ")


def test_an_archive_that_unpacks_to_more_than_it_has(folder):
    big = npy(np.zeros(8 << 20))
    npz(folder / "null.npz", {"maxima.npy": big}, zipfile.ZIP_DEFLATED)
    assert (folder / "null.npz").stat().st_size < 1 << 20
    assert refused(folder) == "null.npz: its members claim more bytes than it has"


BAD_TABLES = {
    "columns": pa.table({"a": [1]}),
    "days as numbers": pa.table({"day": [1, 2], "return": [0.1, 0.2]}),
    "returns as texts": pa.table(
        {"day": pa.array([1], pa.int32()).cast(pa.date32()), "return": ["x"]}
    ),
    "lists": pa.table({"day": pa.array([1], pa.int32()).cast(pa.date32()), "return": [[1.0]]}),
    "days that fall": pa.table(
        {"day": pa.array([2, 1], pa.int32()).cast(pa.date32()), "return": [0.1, 0.2]}
    ),
    "days of another age": pa.table(
        {"day": pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), "return": [0.1]}
    ),
    "rows": pa.table({"day": np.zeros(4_000_000, np.int32), "return": np.zeros(4_000_000)}),
}


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("parquet")])
@pytest.mark.parametrize("bad", BAD_TABLES)
def test_tables_that_are_other_ones(folder, name, bad):
    pq.write_table(BAD_TABLES[bad], folder / name)
    assert refused(folder).startswith(f"{name}: ")


def test_trades_of_other_types_and_reasons(folder):
    table = pq.read_table(folder / "trades.parquet")
    for name, values in (("reason", [99, 0, 0]), ("reason", [-1, 0, 0]), ("entry", ["a"] * 3)):
        at = table.column_names.index(name)
        kind = table.schema.field(name).type if name == "reason" else pa.string()
        pq.write_table(
            table.set_column(at, name, pa.array(values, kind)), folder / "trades.parquet"
        )
        assert refused(folder).startswith("trades.parquet: ")


@pytest.mark.parametrize("content", [{"a": 1}, [1], "text", None])
def test_windows_that_are_none(folder, content):
    (folder / "windows.json").write_text(json.dumps(content))
    assert refused(folder) == "windows.json: it holds no list of objects"
