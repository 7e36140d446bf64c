"""Keep one market in the memory of one device, and launch the kernels that evaluate it.

The caller splits work that does not fit the memory, with `in_parts`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import layouts
from gpu_engine.book import EventBook
from gpu_engine.device import Device, OutOfDeviceMemoryError
from gpu_engine.grid import Grid
from gpu_engine.outcomes import Outcomes
from gpu_engine.records import METRICS, Batch, Float, Int32, Window
from gpu_engine.scoring import (
    LEAST_POWER,
    MAY_BE_UNDEFINED,
    POWERS,
    SIGNIFICANT_DIGITS,
    ScoreRule,
)

#: Share of the free memory that the results of one launch may take.
RESULT_SHARE = 0.5
FIELDS = METRICS.names or ()


class CudaMarket:
    """Candles, rows and outcomes of one `EventBook` in the memory of one device."""

    def __init__(self, device: Device, book: EventBook) -> None:
        self.device, self.book = device, book
        self._arrays = {name: device.put(array) for name, array in _host_arrays(book).items()}
        self._n_outcomes = len(book.entries.bar) * len(book.exits)
        self._arrays["outcomes"] = device.empty(self._n_outcomes, layouts.OUTCOME)
        self._arrays["price"] = device.empty(self._n_outcomes, np.float64)
        self._arrays["reason"] = device.empty(self._n_outcomes, np.int8)
        self._rules = _rules(book)
        self._market = self._record()
        self._compute_outcomes()
        device.synchronize()  # other threads will use them

    def walk(self, batch: Batch, windows: tuple[Window, ...]) -> Float:
        """Compute all metrics of a batch, float64 of shape (fields, W, len(batch))."""
        record, arrays = self._batch(batch)
        result = self.device.empty((len(FIELDS), len(windows), len(batch)), np.float64)
        arguments = (record, np.int64(len(batch)), np.int32((1 << len(FIELDS)) - 1), result)
        self._launch("walk_batch", (len(batch), len(windows)), windows, *arguments)
        metrics = self.device.get(result)
        del arrays  # the kernel has read them
        return metrics

    def walk_grid(
        self, grid: Grid, first: int, count: int, window: Window, fields: tuple[str, ...]
    ) -> Any:
        """Compute some metrics of combinations ``[first, first + count)``, on the device.

        Of shape (fields, count); ``fields`` in the order of `METRICS`.
        """
        record, arrays = self._grid(grid)
        mask = sum(1 << FIELDS.index(name) for name in fields)
        result = self.device.empty((len(fields), count), np.float64)
        arguments = (record, np.int64(first), np.int64(count), np.int32(mask), result)
        self._launch("walk_grid", (count, 1), (window,), *arguments)
        del arrays  # memory is freed in the order of the stream
        return result

    def score(self, metrics: Mapping[str, Any], count: int, rule: ScoreRule) -> Any:
        """Score ``count`` combinations there, from the metrics `ScoreRule.fields` on the device."""
        record = np.zeros((), layouts.RULE)
        record["minimise"] = rule.minimise
        record["may_be_undefined"] = rule.objective in MAY_BE_UNDEFINED
        record["significant_digits"] = SIGNIFICANT_DIGITS
        record["least_power"] = LEAST_POWER
        record["min_trades"] = rule.min_trades
        record["powers"] = self.device.address(self._arrays["powers"])
        profit = "net_profit" if rule.objective in MAY_BE_UNDEFINED else rule.objective
        columns = [metrics[name] for name in (rule.objective, "sample_size", profit)]
        scores = self.device.empty(count, np.float64)
        self.run("score", count, np.int64(count), record, *columns, scores)
        return scores

    def daily_returns(self, batch: Batch, window: Window) -> Float:
        """Compute daily equity returns, float64 of shape (len(batch), D)."""
        n_days = self.book.candles.days_of(window)
        record, arrays = self._batch(batch)
        daily = self.device.zeros((len(batch), n_days), np.float64)
        arguments = (record, np.int64(len(batch)), daily)
        self._launch("walk_daily", (len(batch), 1), (window,), *arguments)
        returns = self.device.get(daily)
        del arrays
        return returns

    def taken(self, batch: Batch, window: Window) -> Int32:
        """List the rows that a batch of one combination takes, in order."""
        record, arrays = self._batch(batch)
        rows = self.device.empty(max(1, len(self.book.signal_bar)), np.int32)
        count = self.device.zeros(1, np.int32)
        self._launch("walk_taken", (1, 1), (window,), record, rows, count)
        taken: Int32 = self.device.get(rows)[: int(self.device.get(count)[0])]
        del arrays
        return taken

    def outcomes(self) -> Outcomes:
        """Copy all outcomes to the host, exit setting by entry."""
        shape = (len(self.book.entries.bar), len(self.book.exits))
        raw = self.device.get(self._arrays["outcomes"]).view(layouts.OUTCOME).reshape(shape).T
        return Outcomes(
            exit_bar=raw["exit_bar"],
            reason=self.device.get(self._arrays["reason"]).reshape(shape).T,
            price=self.device.get(self._arrays["price"]).reshape(shape).T,
            ret=raw["ret"],
        )

    def run(self, kernel: str, threads: int, *arguments: Any) -> None:
        """Launch a kernel that needs nothing of the market."""
        if threads:
            self.device.launch(kernel, len(self.book.senses), (threads, 1), arguments)

    def _compute_outcomes(self) -> None:
        bars = ("open", "high", "low", "close", "day", "filled")
        entries = ("entry_bar", "entry_side", "entry_atr", "entry_price")
        names = (*bars, *entries, "stop_distance", "target_multiple")
        self.run(
            "outcomes",
            self._n_outcomes,
            np.int64(self._n_outcomes),
            np.int32(len(self.book.exits)),
            np.int32(len(self.book.candles)),
            *(self._arrays[name] for name in names),
            self._rules,
            *(self._arrays[name] for name in ("outcomes", "price", "reason")),
        )

    def _launch(
        self, kernel: str, threads: tuple[int, int], windows: tuple[Window, ...], *arguments: Any
    ) -> None:
        if not (threads[0] and threads[1]):
            return
        sent = self.device.put(layouts.window_rows(self.book.candles, windows))
        every = (self._market, self._rules, sent, *arguments)
        self.device.launch(kernel, len(self.book.senses), threads, every)

    def _record(self) -> NDArray[Any]:
        market = np.zeros((), layouts.MARKET)
        for name in ("row_start", "rows", "features", "outcomes", "entry_side", "entry_price"):
            market[name] = self.device.address(self._arrays[name])
        market["n_rows"] = len(self.book.signal_bar)
        market["n_exits"] = len(self.book.exits)
        return market

    def _batch(self, batch: Batch) -> tuple[NDArray[Any], list[Any]]:
        """Return the batch as a record, and its arrays, which must outlive the launch."""
        arrays: dict[str, NDArray[Any]] = {
            "table": batch.table,
            "thresholds": batch.thresholds * self.book.senses,
            "first_exit": batch.first_exit,
        }
        record, sent = self._pointing(layouts.BATCH, arrays)
        record["exits_per_unit"] = batch.exits_per_unit
        return record, sent

    def _grid(self, grid: Grid) -> tuple[NDArray[Any], list[Any]]:
        """Return the grid as a record, and its arrays, which must outlive the launch."""
        first = np.concatenate(([0], np.cumsum(grid.shape)[:-1]))
        values = [
            axis.values * (self.book.senses[axis.threshold] if axis.kind == "threshold" else 1.0)
            for axis in grid.axes
        ]
        arrays: dict[str, NDArray[Any]] = {
            "size": np.array(grid.shape, np.int32),
            "table_stride": grid.strides(grid.of_kind("structural")).astype(np.int32),
            "exit_stride": grid.strides(grid.of_kind("exit")).astype(np.int32),
            "threshold": np.array([axis.threshold for axis in grid.axes], np.int32),
            "first_value": first.astype(np.int32),
            "values": np.concatenate(values),
        }
        record, sent = self._pointing(layouts.GRID, arrays)
        record["n_axes"] = len(grid.axes)
        return record, sent

    def _pointing(
        self, layout: np.dtype[Any], arrays: dict[str, NDArray[Any]]
    ) -> tuple[NDArray[Any], list[Any]]:
        record = np.zeros((), layout)
        sent = []
        for name, array in arrays.items():
            sent.append(self.device.put(array))
            record[name] = self.device.address(sent[-1])
        return record, sent


def in_parts(
    device: Device,
    total: int,
    bytes_each: int,
    part: Callable[[int, int], None],
    most: int | None = None,
) -> None:
    """Call ``part(first, after)`` over ranges of ``[0, total)`` whose results fit the device.

    No range is longer than ``most``. Out of memory is met once: the range that failed is tried
    again at half the length, and so are those after it.

    Raises
    ------
    OutOfDeviceMemoryError
        When half does not fit either; it names both lengths.
    """
    room = int(device.free_bytes() * RESULT_SHARE)
    size = max(1, min(total, room // max(1, bytes_each), most or total))
    failed, first = 0, 0
    while first < total:
        after = min(first + size, total)
        try:
            part(first, after)
        except OutOfDeviceMemoryError as error:
            if failed:
                raise OutOfDeviceMemoryError(
                    f"{total:,} results of {bytes_each:,} bytes were tried {failed:,} and"
                    f" {after - first:,} at a time: {error}"
                ) from None
            failed = after - first
            size = max(1, failed // 2)
        else:
            first = after


def _host_arrays(book: EventBook) -> dict[str, NDArray[Any]]:
    """Collect everything a market sends, by the name that kernels give it."""
    candles, entries = book.candles, book.entries
    rows = np.zeros(len(book.signal_bar), layouts.ROW)
    rows["entry_bar"] = entries.bar[book.entry]
    rows["entry_day"] = candles.day[rows["entry_bar"]]
    rows["setup_bar"] = book.setup_bar
    rows["entry"] = book.entry
    return {
        "open": candles.open,
        "high": candles.high,
        "low": candles.low,
        "close": candles.close,
        "day": candles.day,
        "filled": candles.filled.astype(np.int8),
        "row_start": book.row_start,
        "rows": rows,
        "features": book.features,
        "entry_bar": entries.bar,
        "entry_side": entries.side,
        "entry_atr": entries.atr,
        "entry_price": entries.price,
        "stop_distance": book.exits.column("stop_distance"),
        "target_multiple": book.exits.column("target_multiple"),
        "powers": POWERS,
    }


def _rules(book: EventBook) -> NDArray[Any]:
    risk, costs = book.risk, book.costs
    rules = np.zeros((), layouts.RULES)
    rules["fee_rate"], rules["slippage"] = costs.fee_rate, costs.slippage
    rules["fraction"] = risk.position_fraction
    rules["max_daily_loss"] = np.inf if risk.max_daily_loss is None else risk.max_daily_loss
    rules["losses_limit"] = risk.consecutive_losses_limit or 0
    rules["max_holding_bars"] = risk.max_holding_bars or 0
    return rules
