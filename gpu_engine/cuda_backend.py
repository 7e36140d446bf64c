"""The CUDA backend: one market on one or several devices, combinations split among them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from gpu_engine.book import EventBook
from gpu_engine.cuda_grid import units_of
from gpu_engine.cuda_market import FIELDS, CudaMarket, in_parts
from gpu_engine.cuda_summary import PairTables, offer_best
from gpu_engine.device import MAX_BLOCKS_Y, Device
from gpu_engine.grid import Grid
from gpu_engine.outcomes import trades_of_rows
from gpu_engine.records import METRICS, Advance, Batch, Float, Window
from gpu_engine.scoring import ScoreRule
from gpu_engine.summary import GridSummary, SummaryBuilder

#: Most combinations scored at once, in whole units. Each stretch costs some copies, however long.
STRETCH = 1 << 26


class CudaBackend:
    """A `gpu_engine.backend.Backend` and a `gpu_engine.exhaustive.GridBackend`."""

    name = "cuda"

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = tuple(devices)

    def load(self, book: EventBook) -> list[CudaMarket]:
        """Send one market to every device and compute its outcomes there."""
        return [CudaMarket(device, book) for device in self.devices]

    def evaluate(
        self,
        loaded: list[CudaMarket],
        batch: Batch,
        windows: tuple[Window, ...],
        fields: tuple[str, ...],
    ) -> NDArray[np.void]:
        """Compute all `METRICS`, whatever the ``fields``, in all windows, shape (W, len(batch))."""
        result = np.zeros((len(windows), len(batch)), METRICS)
        for first in range(0, len(windows), MAX_BLOCKS_Y):
            part = slice(first, first + MAX_BLOCKS_Y)
            _evaluate(loaded, batch, windows[part], result[part])
        return result

    def daily_returns(self, loaded: list[CudaMarket], batch: Batch, window: Window) -> Float:
        """Compute daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
        n_days = loaded[0].book.candles.days_of(window)
        result = np.zeros((len(batch), n_days))

        def work(market: CudaMarket, first: int, after: int) -> None:
            rows = slice(first * batch.exits_per_unit, after * batch.exits_per_unit)
            result[rows] = market.daily_returns(_units(batch, first, after), window)

        _split(loaded, len(batch.table), batch.exits_per_unit * n_days * 8, work)
        return result

    def trades(self, loaded: list[CudaMarket], batch: Batch, window: Window) -> NDArray[np.void]:
        """List the trades (`TRADE`) of a batch of one combination, in order of entry."""
        market, setting = loaded[0], int(batch.first_exit[0])
        rows = market.taken(batch, window)
        return trades_of_rows(market.book, rows, market.endings(rows, setting), setting, window)

    def score_grid(
        self,
        loaded: list[CudaMarket],
        grid: Grid,
        part: range,
        window: Window,
        rule: ScoreRule,
        advance: Advance,
    ) -> Float:
        """Score a part in index order, float64 of shape (len(part),); NaN inadmissible."""
        units = {id(market): units_of(market, grid, part) for market in loaded}
        each, result = grid.n_exits, np.empty(len(part))

        def work(market: CudaMarket, first: int, after: int) -> None:
            scores = units[id(market)].score(market, first, after - first, window, rule)
            result[first * each : after * each] = market.device.get(scores)
            advance((after - first) * each)

        some, *_ = units.values()
        _split(loaded, some.n_units, each * _bytes_each(rule), work, max(1, STRETCH // each))
        return some.in_index_order(result)

    def summarise_grid(
        self,
        loaded: list[CudaMarket],
        grid: Grid,
        part: range,
        window: Window,
        rule: ScoreRule,
        k: int,
        advance: Advance,
    ) -> GridSummary:
        """Find best K and pair maxima of a part, in memory that does not grow with the part."""
        units = {id(market): units_of(market, grid, part) for market in loaded}
        builders = {id(market): SummaryBuilder(grid, k) for market in loaded}
        tables = {id(market): PairTables(market, units[id(market)]) for market in loaded}
        each = grid.n_exits

        def work(market: CudaMarket, first: int, after: int) -> None:
            own, count = units[id(market)], (after - first) * each
            scores = own.score(market, first, after - first, window, rule)
            place = own.place_of(first)
            offer_best(market, own, scores, place, count, builders[id(market)])
            tables[id(market)].raise_to(scores, place, count)
            advance(count)

        some, *_ = units.values()
        _split(loaded, some.n_units, each * _bytes_each(rule), work, max(1, STRETCH // each))
        for market in loaded:
            tables[id(market)].merge_into(builders[id(market)])
        whole, *others = builders.values()
        for other in others:
            whole.take(other.finish())
        return whole.finish()


def _evaluate(
    loaded: list[CudaMarket], batch: Batch, windows: tuple[Window, ...], result: NDArray[np.void]
) -> None:
    """Fill ``result``, METRICS of shape (W, len(batch)), for windows that one launch can take."""
    bytes_each = batch.exits_per_unit * len(windows) * len(FIELDS) * 8

    def work(market: CudaMarket, first: int, after: int) -> None:
        metrics = market.walk(_units(batch, first, after), windows)
        columns = slice(first * batch.exits_per_unit, after * batch.exits_per_unit)
        for position, name in enumerate(FIELDS):
            result[name][:, columns] = metrics[position]

    _split(loaded, len(batch.table), bytes_each, work)


def _bytes_each(rule: ScoreRule) -> int:
    """Return the bytes of device memory that one combination takes while it is scored."""
    return 8 * (len(rule.fields) + 2)


def _units(batch: Batch, first: int, after: int) -> Batch:
    part = slice(first, after)
    return Batch(
        batch.table[part], batch.thresholds[part], batch.first_exit[part], batch.exits_per_unit
    )


def _split(
    loaded: list[CudaMarket],
    total: int,
    bytes_each: int,
    work: Callable[[CudaMarket, int, int], None],
    most: int | None = None,
) -> None:
    """Share ``[0, total)`` among the devices, and each share into parts that fit its memory."""
    share = -(-total // len(loaded))

    def run(number: int) -> None:
        market, start = loaded[number], number * share
        count = max(0, min(total - start, share))

        def part(first: int, after: int) -> None:
            work(market, start + first, start + after)

        in_parts(market.device, count, bytes_each, part, most)
        market.device.synchronize()  # what this thread leaves there, another reads

    if len(loaded) == 1:
        run(0)
        return
    with ThreadPoolExecutor(len(loaded)) as pool:
        list(pool.map(run, range(len(loaded))))
