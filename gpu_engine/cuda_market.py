"""Keep one market in the memory of one device, and launch the kernels that evaluate it.

The caller splits work that does not fit the memory, with `in_parts`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import layouts
from gpu_engine.book import EventBook
from gpu_engine.device import Device, Options, OutOfDeviceMemoryError
from gpu_engine.outcomes import Outcomes
from gpu_engine.records import METRICS, Batch, Float, Int32, Window

#: Share of the free memory that the results of one launch may take.
RESULT_SHARE = 0.5
FIELDS = METRICS.names or ()
ALL_FIELDS = (1 << len(FIELDS)) - 1
#: What the kernels take for no bar and no limit.
NEVER = np.iinfo(np.int32).max


class CudaMarket:
    """Candles, rows and outcomes of one `EventBook` in the memory of one device.

    ``record`` is what every kernel that reads rows is passed; ``last_units`` are those of the last
    grid (`gpu_engine.cuda_grid.units_of`).
    """

    def __init__(self, device: Device, book: EventBook) -> None:
        self.device, self.book = device, book
        self._sent: list[Any] = []
        self.last_units: Any = None
        self._rules = _rules(book)
        self._priced = (
            self._hold(layouts.BARS, _bars(book), count=len(book.candles)),
            self._hold(layouts.ENTRIES, _entries(book)),
            self._hold(layouts.EXITS, _exits(book), count=len(book.exits)),
        )
        n_outcomes = len(book.entries.bar) * len(book.exits)
        self._outcomes = device.empty(n_outcomes, layouts.OUTCOME)
        self.record = self._hold(
            layouts.MARKET,
            _rows(book),
            outcomes=device.address(self._outcomes),
            n_rows=len(book.signal_bar),
            n_exits=len(book.exits),
        )
        outcomes = (np.int64(n_outcomes), self._outcomes)
        self.run("outcomes", n_outcomes, *self._priced, self._rules, *outcomes)
        device.synchronize()  # other threads will use them

    def walk(self, batch: Batch, windows: tuple[Window, ...]) -> Float:
        """Compute all metrics of a batch, float64 of shape (fields, W, len(batch))."""
        record, arrays = self._batch(batch)
        result = self.device.empty((len(FIELDS), len(windows), len(batch)), np.float64)
        arguments = (record, np.int64(len(batch)), result)
        self.run_in("walk_batch", (len(batch), len(windows)), windows, *arguments)
        metrics = self.device.get(result)
        del arrays  # the kernel has read them
        return metrics

    def daily_returns(self, batch: Batch, window: Window) -> Float:
        """Compute daily equity returns, float64 of shape (len(batch), D)."""
        n_days = self.book.candles.days_of(window)
        record, arrays = self._batch(batch)
        daily = self.device.zeros((len(batch), n_days), np.float64)
        arguments = (record, np.int64(len(batch)), daily)
        self.run_in("walk_daily", (len(batch), 1), (window,), *arguments)
        returns = self.device.get(daily)
        del arrays
        return returns

    def taken(self, batch: Batch, window: Window) -> Int32:
        """List the rows that a batch of one combination takes, in order."""
        record, arrays = self._batch(batch)
        rows = self.device.empty(max(1, len(self.book.signal_bar)), np.int32)
        count = self.device.zeros(1, np.int32)
        self.run_in("walk_taken", (1, 1), (window,), record, rows, count)
        taken: Int32 = self.device.get(rows, int(self.device.get(count)[0]))
        del arrays
        return taken

    def endings(self, rows: Int32, setting: int) -> Outcomes:
        """Say how some rows end under one exit setting, arrays of shape (m,); ``ret`` is not."""
        entry, count = self.device.put(self.book.entry[rows]), len(rows)
        columns = [self.device.empty(count, kind) for kind in (np.int32, np.int8, np.float64)]
        arguments = (np.int32(count), entry, np.int32(setting), *columns)
        self.run("endings", count, *self._priced, self._rules, *arguments)
        exit_bar, reason, price = (self.device.get(column) for column in columns)
        return Outcomes(exit_bar, reason, price, ret=np.full(count, np.nan))

    def run(self, kernel: str, threads: int, *arguments: Any) -> None:
        """Launch a kernel that walks nothing."""
        if threads:
            self.device.launch(kernel, self._options(ALL_FIELDS), (threads, 1), arguments)

    def run_in(
        self,
        kernel: str,
        threads: tuple[int, int],
        windows: tuple[Window, ...],
        *arguments: Any,
        fields: int = ALL_FIELDS,
    ) -> None:
        """Launch a kernel that walks the market in some windows; ``fields`` is a bit mask."""
        if not (threads[0] and threads[1]):
            return
        book = self.book
        sent = self.device.put(layouts.window_rows(book.candles, windows, book.funding))
        every = (self.record, self._rules, sent, *arguments)
        self.device.launch(kernel, self._options(fields), threads, every)

    def pointing(
        self, layout: np.dtype[Any], arrays: Mapping[str, NDArray[Any] | None], **numbers: int
    ) -> tuple[NDArray[Any], list[Any]]:
        """Send arrays; return a record of their addresses, 0 for None, and of ``numbers``.

        The arrays come with it: they must outlive the launches that read them.
        """
        record, sent = np.zeros((), layout), []
        for name, array in arrays.items():
            if array is not None:
                sent.append(self.device.put(array))
                record[name] = self.device.address(sent[-1])
        for name, number in numbers.items():
            record[name] = number
        return record, sent

    def _options(self, fields: int) -> Options:
        return Options(len(self.book.senses), fields)

    def _hold(
        self, layout: np.dtype[Any], arrays: Mapping[str, NDArray[Any] | None], **numbers: int
    ) -> NDArray[Any]:
        """Return a record whose arrays live as long as the market."""
        record, sent = self.pointing(layout, arrays, **numbers)
        self._sent += sent
        return record

    def _batch(self, batch: Batch) -> tuple[NDArray[Any], list[Any]]:
        """Return the batch as a record, and its arrays."""
        arrays: dict[str, NDArray[Any] | None] = {
            "table": batch.table,
            "thresholds": batch.thresholds * self.book.senses,
            "first_exit": batch.first_exit,
        }
        return self.pointing(layouts.BATCH, arrays, exits_per_unit=batch.exits_per_unit)


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


def _bars(book: EventBook) -> dict[str, NDArray[Any] | None]:
    candles = book.candles
    return {
        "open": candles.open,
        "high": candles.high,
        "low": candles.low,
        "close": candles.close,
        "funding": book.funding,
        "day": candles.day,
        "filled": candles.filled.astype(np.int8),
    }


def _entries(book: EventBook) -> dict[str, NDArray[Any] | None]:
    entries = book.entries
    return {
        "bar": entries.bar,
        "side": entries.side,
        "atr": entries.atr,
        "price": entries.price,
        "stop_level": entries.stop_level,
        "target_level": entries.target_level,
        "leave": entries.leave(NEVER),
    }


def _exits(book: EventBook) -> dict[str, NDArray[Any] | None]:
    names = [name for name in layouts.EXITS.names or () if name not in ("holding", "count")]
    columns: dict[str, NDArray[Any] | None] = {name: book.exits.column(name) for name in names}
    return columns | {"holding": book.exits.holding(book.risk.max_holding_bars)}


def _rows(book: EventBook) -> dict[str, NDArray[Any] | None]:
    entries = book.entries
    rows = np.zeros(len(book.signal_bar), layouts.ROW)
    rows["entry_bar"] = entries.bar[book.entry]
    rows["entry_day"] = book.candles.day[rows["entry_bar"]]
    rows["setup_bar"] = book.setup_bar
    rows["entry"] = book.entry
    paid = np.zeros(len(book.candles)) if book.funding is None else book.funding
    return {
        "row_start": book.row_start,
        "rows": rows,
        "features": book.features,
        "entry_side": entries.side,
        "entry_price": entries.price,
        "entry_funding": paid[entries.bar],
    }


def _rules(book: EventBook) -> NDArray[Any]:
    risk, costs = book.risk, book.costs
    rules = np.zeros((), layouts.RULES)
    rules["fee_rate"], rules["target_fee"] = costs.fee_rate, costs.target_fee
    rules["slippage"], rules["exposure"] = costs.slippage, risk.exposure
    rules["borrow"] = costs.borrow(book.candles.step_ms)
    for name, side in (("long", 1), ("short", -1)):
        rules[f"{name}_liquidation"] = risk.liquidation(side)
        rules[f"{name}_bankruptcy"] = risk.bankruptcy(side)
    rules["max_daily_loss"] = np.inf if risk.max_daily_loss is None else risk.max_daily_loss
    rules["losses_limit"] = risk.consecutive_losses_limit or NEVER
    return rules
