"""The CUDA backend: one market on one or several devices, combinations split among them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import layouts
from gpu_engine.book import EventBook
from gpu_engine.cuda_market import FIELDS, CudaMarket, in_parts
from gpu_engine.device import MAX_BLOCKS_Y, WARP, Device
from gpu_engine.grid import Grid
from gpu_engine.outcomes import Outcomes, trades_of_rows
from gpu_engine.records import METRICS, Advance, Batch, Float, Window
from gpu_engine.scoring import ScoreRule
from gpu_engine.summary import GridSummary, SummaryBuilder

#: Combinations a warp of `strip_maxima` looks at.
STRIP = 4096
#: Most combinations scored at once: positions in a stretch are int32, and more is no faster.
STRETCH = 1 << 24
#: Room for candidates of the best K, in multiples of K, before the count is met exactly.
ROOM = 4


class CudaBackend:
    """A `gpu_engine.backend.Backend` and a `gpu_engine.exhaustive.GridBackend`."""

    name = "cuda"

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = tuple(devices)

    def load(self, book: EventBook) -> list[CudaMarket]:
        """Send one market to every device and compute its outcomes there."""
        supported = {"stop_distance", "target_multiple"}
        if set(book.exits.columns()) != supported or book.costs.maker_fee or book.costs.funding:
            raise NotImplementedError("backend cuda has only stop_distance and target_multiple yet")
        return [CudaMarket(device, book) for device in self.devices]

    def evaluate(
        self, loaded: list[CudaMarket], batch: Batch, windows: tuple[Window, ...]
    ) -> NDArray[np.void]:
        """Compute metrics (`METRICS`) of all combinations in all windows, shape (W, len(batch))."""
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
        entry = market.book.entry[rows]
        outcomes = Outcomes(*(column[setting, entry] for column in market.outcomes()))
        return trades_of_rows(market.book, rows, outcomes, setting, window)

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
        result = np.empty(len(part))

        def work(market: CudaMarket, first: int, after: int) -> None:
            scores = _scores(market, grid, part[first], after - first, window, rule)
            result[first:after] = market.device.get(scores)
            advance(after - first)

        _split(loaded, len(part), _bytes_each(rule), work, STRETCH)
        return result

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
        builders = {id(market): SummaryBuilder(grid, k) for market in loaded}
        tables = {id(market): _PairTables(market, grid) for market in loaded}

        def work(market: CudaMarket, first: int, after: int) -> None:
            index, count = part[first], after - first
            scores = _scores(market, grid, index, count, window, rule)
            _offer_best(market, scores, index, count, builders[id(market)])
            tables[id(market)].raise_to(scores, index, count)
            advance(count)

        _split(loaded, len(part), _bytes_each(rule), work, STRETCH)
        for market in loaded:
            tables[id(market)].merge_into(builders[id(market)])
        whole, *others = builders.values()
        for other in others:
            whole.take(other.finish())
        return whole.finish()


def _evaluate(
    loaded: list[CudaMarket],
    batch: Batch,
    windows: tuple[Window, ...],
    result: NDArray[np.void],
) -> None:
    """Fill ``result``, METRICS of shape (W, len(batch)), for windows that one launch can take."""
    bytes_each = batch.exits_per_unit * len(windows) * len(FIELDS) * 8

    def work(market: CudaMarket, first: int, after: int) -> None:
        metrics = market.walk(_units(batch, first, after), windows)
        columns = slice(first * batch.exits_per_unit, after * batch.exits_per_unit)
        for position, name in enumerate(FIELDS):
            result[name][:, columns] = metrics[position]

    _split(loaded, len(batch.table), bytes_each, work)


class _PairTables:
    """The tables of all pairs of axes on one device, one after another.

    Raises
    ------
    ValueError
        When the grid has more axes than the kernel decodes.
    """

    def __init__(self, market: CudaMarket, grid: Grid) -> None:
        if len(grid.axes) > layouts.MAX_AXES:
            raise ValueError(
                f"a grid is summarised over at most {layouts.MAX_AXES} axes; it has"
                f" {len(grid.axes)}"
            )
        self._market = market
        self._n_axes, sizes = len(grid.axes), np.array(grid.shape, np.int32)
        self._pairs = list(SummaryBuilder(grid, 1).pairs)
        cells = [int(sizes[a]) * int(sizes[b]) for a, b in self._pairs]
        self._start = np.concatenate(([0], np.cumsum(cells))).astype(np.int64)
        device = market.device
        self._cells = device.put(np.full(int(self._start[-1]), -np.inf))
        self._sizes_there, self._start_there = device.put(sizes), device.put(self._start)
        device.synchronize()  # another thread will use them

    def raise_to(self, scores: Any, first: int, count: int) -> None:
        """Take the scores of combinations ``[first, first + count)``."""
        self._market.run(
            "pair_maxima",
            count,
            np.int64(first),
            np.int64(count),
            np.int32(self._n_axes),
            self._sizes_there,
            self._start_there,
            scores,
            self._cells,
        )

    def merge_into(self, builder: SummaryBuilder) -> None:
        """Bring the tables to the host, the better of both in every cell."""
        cells = self._market.device.get(self._cells)
        for position, pair in enumerate(self._pairs):
            table = builder.pairs[pair]
            part = cells[self._start[position] : self._start[position + 1]].reshape(table.shape)
            np.maximum(table, part, out=table)


def _scores(
    market: CudaMarket, grid: Grid, first: int, count: int, window: Window, rule: ScoreRule
) -> Any:
    """Score combinations ``[first, first + count)`` on the device."""
    metrics = market.walk_grid(grid, first, count, window, rule.fields)
    return market.score(dict(zip(rule.fields, metrics, strict=True)), count, rule)


def _offer_best(
    market: CudaMarket, scores: Any, first: int, count: int, builder: SummaryBuilder
) -> None:
    """Hand the builder every score that may be among the best K.

    The K-th best of the strips' maxima is a bound: at least K scores reach it. The builder's own
    bar must be passed: stretches ascend, so that a tie with it has the higher index.
    """
    device, strips = market.device, -(-count // STRIP)
    maxima, admissible = device.empty(strips, np.float64), device.empty(strips, np.int32)
    threads, arguments = strips * WARP, (np.int64(count), np.int32(STRIP), scores)
    market.run("strip_maxima", threads, *arguments, maxima, admissible)
    best = np.sort(device.get(maxima))[::-1]
    reached_by_k = float(best[builder.k - 1]) if strips >= builder.k else -np.inf
    only_above = builder.full and builder.bar >= reached_by_k
    bound = builder.bar if only_above else reached_by_k
    capacity = ROOM * builder.k
    while True:
        position, value = device.empty(capacity, np.int32), device.empty(capacity, np.float64)
        counter = device.zeros(1, np.int32)
        market.run(
            "collect",
            count,
            np.int64(count),
            np.float64(bound),
            np.int32(only_above),
            np.int32(capacity),
            scores,
            position,
            value,
            counter,
        )
        reached = int(device.get(counter)[0])
        if reached <= capacity:
            break
        capacity = reached
    index = first + device.get(position)[:reached].astype(np.int64)
    # Last, so that what ran out of memory before has left no trace.
    builder.offer(index, device.get(value)[:reached])
    builder.admissible += int(device.get(admissible).sum(dtype=np.int64))


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
