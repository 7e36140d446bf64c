"""A second account of the same trades: cash and a position, bar by bar (fills rules §10.4).

Written apart from `gpu_engine.marking`: it buys and sells, pays what is due, and looks at what the
account holds when a day ends.
"""

from datetime import UTC, datetime

from gpu_engine import REASONS


def repriced(candles, trades, window, costs, exposure):
    """Equity at the end of every UTC day of a window, from an account that begins with 1."""
    cash, held, notional, side, due = 1.0, 0.0, 0.0, 0, list(trades)
    maker = costs.fee_rate if costs.maker_fee is None else costs.maker_fee
    daily = 0.0 if costs.funding is not None else costs.borrow_rate or 0.0
    loan = 0.0
    ends = []
    for bar in range(window.start, window.end):
        opened = int(candles.timestamp[bar])
        if due and due[0]["entry_bar"] == bar:
            side, notional = int(due[0]["side"]), exposure * cash
            held = side * notional / due[0]["entry"]
            cash -= held * due[0]["entry"] + costs.fee_rate * notional
            loan = notional * daily * candles.step_ms / 86_400_000  # a bar, of a short
        if due and due[0]["exit_bar"] == bar:
            is_limit = REASONS[due[0]["reason"]] in ("target", "target_gap")
            fee = maker if is_limit else costs.fee_rate
            cash -= loan if held < 0.0 else 0.0  # the bar of the exit counts
            cash += held * due[0]["exit"] - fee * abs(held) * due[0]["exit"]
            held = notional = 0.0
            due.pop(0)
        if held and costs.funding is not None:
            for time, rate in zip(costs.funding.timestamp, costs.funding.rate, strict=True):
                if opened < time <= opened + candles.step_ms:
                    cash -= side * rate * notional
        cash -= loan if held < 0.0 else 0.0
        last = bar + 1 == window.end or _date(candles, bar + 1) != _date(candles, bar)
        if last:
            ends.append(cash + held * float(candles.close[bar]))
    assert not due
    assert not held, "a window ends flat"
    return ends


def _date(candles, bar):
    return datetime.fromtimestamp(int(candles.timestamp[bar]) / 1000, UTC).date()
