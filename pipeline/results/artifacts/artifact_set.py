"""Write and read the artifacts of a configuration: series, trades, windows, the score surface.

One folder a configuration, named by its id, in formats any tool reads: Parquet for tables, JSON
for windows, npz for the surface. A folder is written under another name and then renamed, so it is
there whole or not at all; it is written before its row, so a row never points at nothing. Days are
dates in Parquet, and whole numbers since the epoch in NumPy, as in `gpu_engine.records`.
"""

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gpu_engine import REASONS, TRADE, Float, Int32
from pipeline.errors import ReadOnlyError, UserError, denied, full_disk
from pipeline.market_data.arrow import array_of, column_of, table_of
from pipeline.market_data.store.atomic_files import probe, remove_abandoned, replace_folder
from pipeline.results.artifacts.drawn_trials import DrawnTrials, read_drawn, write_drawn
from pipeline.results.artifacts.files import StoredArrays, read_arrays, read_json, read_table
from pipeline.results.jsonable import dumps

IN_SAMPLE, OUT_OF_SAMPLE = "in_sample.parquet", "out_of_sample.parquet"
TRADES, WINDOWS = "trades.parquet", "windows.json"
#: What a search keeps: of a large grid 240 MB.
SEARCH = SCORES, SUMMARY, TRIALS = "scores.npz", "summary.npz", "trials.parquet"
#: Days of a series, and trades of a record: more than any history of candles has.
MOST_DAYS, MOST_TRADES = 100_000, 3_000_000

_AXES = "axes"  # the surface's member that is no metric
_FORMER_SETUP_BAR = "sweep_bar"  # its column in trades.parquet of an earlier build
_DRAWN = "surrogate_"  # members of the null distribution that are of one kind of surrogates


@dataclass(frozen=True, eq=False)
class DailySeries:
    """Daily net returns, marked to market (fills rules §10.4).

    ``day`` int32 (D,) days since the epoch; ``returns`` float64 (D,). ``closed``, by closed trades,
    and ``hold``, of holding the market, float64 (D,), are kept out of sample; None elsewhere and in
    a record of an earlier build, whose ``returns`` are those by closed trades.
    """

    day: Int32
    returns: Float
    closed: Float | None = None
    hold: Float | None = None


@dataclass(frozen=True, eq=False)
class ScoreSurface:
    """Metrics of every combination of a grid.

    Attributes
    ----------
    axes : mapping of str to sequence
        Values of every parameter in grid order, the last running fastest; None is "off".
    metrics : mapping of str to float32 array
        By metric, each of the shape of the axes; NaN where a combination has none.
    """

    axes: Mapping[str, Sequence[Any]]
    metrics: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ScoreSummary:
    """What is kept of a grid too large to hold.

    Attributes
    ----------
    axes : mapping of str to sequence
        As in `ScoreSurface`.
    index, score : int64 and float64 arrays of shape (k,)
        The best combinations by index in grid order, best first.
    pairs : mapping of (str, str) to float64 array
        For two parameters the best score at each of their values, NaN where there is none.
    """

    axes: Mapping[str, Sequence[Any]]
    index: NDArray[np.int64]
    score: Float
    pairs: Mapping[tuple[str, str], Float]


@dataclass(frozen=True, eq=False)
class NullDistribution:
    """What luck alone would show, beside what was observed. Sharpe ratios are annualised.

    Attributes
    ----------
    observed : float or None
        Largest Sharpe ratio of the combinations that the reality check tested; None where there
        was none to test.
    maxima : float64 array of shape (B,)
        Largest ``SR* - SR`` of every bootstrap resample; empty where nothing was tested.
    best : float or None
        What surrogates are held against: the mean Sharpe ratio of the best 1 % of the whole-history
        search (validation rules §5.2); None where they were not drawn.
    surrogates : mapping of str to float64 array
        By kind, the same of every surrogate in the order drawn, -inf for none.
    """

    observed: float | None
    maxima: Float
    best: float | None
    surrogates: Mapping[str, Float]


@dataclass(frozen=True, eq=False)
class ArtifactSet:
    """Everything that one configuration keeps.

    ``trades`` are the out-of-sample ones (`gpu_engine.records.TRADE`; those of an earlier build
    have no levels), ``windows`` a list of JSON objects; ``scores`` is None where the search was no
    grid or the grid too large to keep, ``summary`` None where it was no grid or the grid small
    enough, ``null`` None where nothing was tested, ``trials`` None where the search drew nothing.
    """

    in_sample: DailySeries
    out_of_sample: DailySeries
    trades: NDArray[np.void]
    windows: list[dict[str, Any]]
    scores: ScoreSurface | None = None
    summary: ScoreSummary | None = None
    null: NullDistribution | None = None
    trials: DrawnTrials | None = None


def write_artifacts(root: Path, configuration_id: str, artifacts: ArtifactSet) -> str:
    """Write ``artifacts`` as a folder under ``root`` and return its path relative to ``root``.

    Raises
    ------
    DiskFullError, UserError
        When there is no room for them, or ``root`` cannot be written to.
    ValueError
        When a metric's shape is not that of the axes.
    FileExistsError
        When the configuration has artifacts already.
    """
    place = root / configuration_id
    if place.exists():
        raise FileExistsError(f"{place} exists: artifacts are written once")
    draft = root / f".{configuration_id}.{uuid.uuid4().hex}"
    try:
        draft.mkdir(parents=True)
        _write(draft, artifacts)
        replace_folder(draft, place)
    except OSError as error:
        raise unwritable(root, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return configuration_id


def check_root(root: Path) -> None:
    """Make sure that artifacts can be written below ``root``, before hours of work are.

    Drafts that a process left a day ago or earlier, when it was killed, are removed.

    Raises
    ------
    UserError
        When they cannot.
    """
    try:
        probe(root)
        remove_abandoned(root.iterdir())
    except OSError as error:
        raise unwritable(root, error) from None


def unwritable(root: Path, error: OSError) -> UserError:
    """Return the sentence of a folder that artifacts cannot be written below."""
    if (full := full_disk(error, root)) is not None:
        return full
    if (reason := denied(error)) is not None and root.is_dir():
        return ReadOnlyError(
            f"storage.artifacts: {root} may only be read here ({reason}), so nothing can be trained"
            " or stored in it. explain, verify, report, monitor and serve still read it. To train,"
            " choose another folder.",
            reason,
        )
    return UserError(
        f"storage.artifacts: cannot write to {root}: {error.strerror or error}."
        " Choose a folder with room that can be written to."
    )


def read_artifacts(root: Path, relative: str, *, searched: bool = True) -> ArtifactSet:
    """Read back what `write_artifacts` wrote; unless ``searched``, without what a search kept.

    Raises
    ------
    FileNotFoundError
        When the folder, or a file in it, is gone.
    ValueError
        When a file is damaged, no plain file, or holds other rows, types or shapes than it can.
    """
    folder = root / relative
    null = folder / "null.npz"
    kept = [folder / name for name in SEARCH]
    scores, summary, trials = (
        path if searched and os.path.lexists(path) else None for path in kept
    )
    return ArtifactSet(
        in_sample=read_series(folder / IN_SAMPLE),
        out_of_sample=read_series(folder / OUT_OF_SAMPLE),
        trades=read_trades(folder / TRADES),
        windows=read_windows(folder / WINDOWS),
        scores=None if scores is None else read_scores(scores),
        summary=None if summary is None else read_summary(summary),
        null=_read_null(null) if os.path.lexists(null) else None,
        trials=None if trials is None else read_drawn(trials),
    )


def _write(folder: Path, artifacts: ArtifactSet) -> None:
    _write_series(folder / IN_SAMPLE, artifacts.in_sample)
    _write_series(folder / OUT_OF_SAMPLE, artifacts.out_of_sample)
    _write_trades(folder / TRADES, artifacts.trades)
    (folder / WINDOWS).write_text(dumps(artifacts.windows), "utf-8")
    if artifacts.scores is not None:
        _write_scores(folder / SCORES, artifacts.scores)
    if artifacts.summary is not None:
        _write_summary(folder / SUMMARY, artifacts.summary)
    if artifacts.null is not None:
        _write_null(folder / "null.npz", artifacts.null)
    if artifacts.trials is not None:
        write_drawn(folder / TRIALS, artifacts.trials)


def _write_series(path: Path, series: DailySeries) -> None:
    day = column_of(series.day.astype(np.int32)).view(pa.date32())
    columns = {"return": series.returns, "closed": series.closed, "hold": series.hold}
    kept = {name: column_of(values) for name, values in columns.items() if values is not None}
    pq.write_table(pa.table({"day": day, **kept}), path)


def read_series(path: Path) -> DailySeries:
    """Read a daily series; errors are those of `read_artifacts`."""
    table = read_table(path, MOST_DAYS)
    _check(table.column_names[:2] == ["day", "return"], path, "it has other columns")
    numbers = table.column_names[1:]
    plain = table.schema.field("day").type == pa.date32()
    plain = plain and all(table.schema.field(name).type == pa.float64() for name in numbers)
    _check(plain, path, "its columns are of other types")
    day = array_of(table["day"].cast(pa.int32()))
    in_time = (day[:-1] < day[1:]).all() and (day >= 0).all() and (day < MOST_DAYS).all()
    _check(in_time, path, "its days do not ascend, or are no days")
    returns, *others = (array_of(table[name]) for name in numbers)
    kept = dict(zip(numbers[1:], others, strict=True))
    return DailySeries(day, returns, kept.get("closed"), kept.get("hold"))


def _check(sound: bool | np.bool_, path: Path, reason: str) -> None:
    if not sound:
        raise ValueError(f"{path.name}: {reason}")


def read_windows(path: Path) -> list[dict[str, Any]]:
    """Read the validation windows; errors are those of `read_artifacts`."""
    windows = read_json(path)
    sound = isinstance(windows, list) and all(isinstance(window, dict) for window in windows)
    _check(sound, path, "it holds no list of objects")
    return list(windows)


def _write_trades(path: Path, trades: NDArray[np.void]) -> None:
    pq.write_table(table_of({name: trades[name] for name in TRADE.names or ()}), path)


def read_trades(path: Path) -> NDArray[np.void]:
    """Read the out-of-sample trades; errors are those of `read_artifacts`."""
    table = read_table(path, MOST_TRADES)
    if _FORMER_SETUP_BAR in table.column_names:
        return _read_former_trades(table)
    names = TRADE.names or ()
    _check(set(names) <= {*table.column_names}, path, "a column is missing")
    trades = np.empty(len(table), TRADE)
    for name in names:
        kind = table.schema.field(name).type
        _check(kind == pa.from_numpy_dtype(TRADE[name]), path, f"column {name} is of type {kind}")
        trades[name] = array_of(table[name])
    _check((trades["reason"] >= 0).all(), path, "a trade has no reason")
    _check((trades["reason"] < len(REASONS)).all(), path, "a trade has no known reason")
    return trades


def _read_former_trades(table: pa.Table) -> NDArray[np.void]:
    """Read trades of a build without exits by signal: no levels, and one reason fewer."""
    former = {"setup_bar": _FORMER_SETUP_BAR}
    fields = [name for name in TRADE.names or () if former.get(name, name) in table.column_names]
    trades: NDArray[np.void] = np.empty(len(table), [(name, TRADE[name]) for name in fields])
    for name in fields:
        trades[name] = table[former.get(name, name)].to_numpy()
    trades["reason"] += trades["reason"] >= REASONS.index("signal")
    return trades


def _write_scores(path: Path, scores: ScoreSurface) -> None:
    shape = tuple(len(values) for values in scores.axes.values())
    for name, values in scores.metrics.items():
        if values.shape != shape:
            raise ValueError(f"scores of {name} have shape {values.shape}, the axes {shape}")
    members: dict[str, Any] = {_AXES: np.array(dumps(scores.axes))}
    for name, values in scores.metrics.items():
        members[name] = values.astype(np.float32)
    np.savez(path, **members)  # not compressed: float noise saves 7 % and takes 30 times as long


def read_scores(path: Path) -> ScoreSurface:
    """Read the axes of the score surface, and each metric anew whenever it is asked for.

    Of a grid of 10⁷ a metric takes 40 MB; errors are those of `read_artifacts`.
    """
    members = StoredArrays(path)
    axes, metrics = _read_axes(members, path), members.without(_AXES)
    expected = tuple(len(values) for values in axes.values()), np.dtype(np.float32)
    sound = all(metrics.header(name) == expected for name in metrics)
    _check(sound, path, "its scores have other types or another shape than the axes")
    return ScoreSurface(axes, metrics)


def _read_axes(members: Mapping[str, NDArray[Any]], path: Path) -> dict[str, list[Any]]:
    text = members.get(_AXES)
    if text is None or text.shape or text.dtype.kind != "U":
        raise ValueError(f"{path.name}: it has no axes")
    axes = json.loads(str(text))
    sound = isinstance(axes, dict) and all(isinstance(values, list) for values in axes.values())
    _check(sound, path, "its axes are no lists")
    return dict(axes)


def _write_summary(path: Path, summary: ScoreSummary) -> None:
    members: dict[str, Any] = {_AXES: np.array(dumps(summary.axes))}
    members |= {"index": summary.index, "score": summary.score}
    members |= {f"{a}|{b}": table for (a, b), table in summary.pairs.items()}
    np.savez(path, **members)


def read_summary(path: Path) -> ScoreSummary:
    """Read what is kept of a large grid; errors are those of `read_artifacts`."""
    members = read_arrays(path)
    axes = _read_axes(members, path)
    index, score = (_vector(members, name, path) for name in ("index", "score"))
    _check(len(index) == len(score), path, "index and score differ in length")
    pairs = {}
    for name in (name for name in members if "|" in name):
        first, second = name.split("|")
        shape = (len(axes.get(first, ())), len(axes.get(second, ())))
        _check(members[name].shape == shape, path, f"{name} has another shape than the axes")
        pairs[first, second] = members[name]
    return ScoreSummary(axes, index, score, pairs)


def _vector(members: Mapping[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    values = members.get(name)
    if values is None or values.ndim != 1 or values.dtype.kind not in "if":
        raise ValueError(f"{path.name}: {name} is no row of numbers")
    return values


def _write_null(path: Path, null: NullDistribution) -> None:
    observed, best = (np.nan if value is None else value for value in (null.observed, null.best))
    members: dict[str, Any] = {"found": observed, "maxima": null.maxima, "best": best}
    members |= {f"{_DRAWN}{kind}": best for kind, best in null.surrogates.items()}
    np.savez(path, **members)


def _read_null(path: Path) -> NullDistribution:
    members = read_arrays(path)
    drawn = {
        name.removeprefix(_DRAWN): _vector(members, name, path)
        for name in members
        if name.startswith(_DRAWN)
    }
    single = [members[name] for name in ("found", "best") if name in members]
    sound = len(single) == 2 and all(v.shape == () and v.dtype.kind == "f" for v in single)
    _check(sound, path, "found or best is no number")
    observed, best = (None if np.isnan(value) else float(value) for value in single)
    return NullDistribution(observed, _vector(members, "maxima", path), best, drawn)
