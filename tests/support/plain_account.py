"""A second program for golden files: rows in, trades and metrics out, from the rules alone.

It shares nothing with `gpu_engine`: a long and a short are written out, prices are never signed,
and costs are money. `tests/gpu_engine/test_golden.py` holds it against the golden files that others
computed, and makes `leverage_ticks.json` with it (``UPDATE_GOLDEN=1``).
"""

import math
import statistics
from typing import NamedTuple

DAY = 86_400_000


class Terms(NamedTuple):
    """Costs, limits and funding (time in ms, rate) of a case; None for what is off."""

    costs: dict
    risk: dict
    funding: list | None


def trades_of(candles, rows, setting, terms, window):
    """Trade ``rows``, dicts in signal order that pass their thresholds; yield trades as dicts."""
    risk, start, end = terms.risk, *window
    equity, free_from, streak = 1.0, start, 0
    day, day_began, closed_day = None, 1.0, -1
    size = risk["position_fraction"] * (risk.get("leverage") or 1.0)
    for row in rows:
        e = row["signal_bar"] + 1
        wrong_side = {"both": 0, "long": -1, "short": +1}[risk["direction"]] == row["side"]
        if wrong_side or e >= min(end, len(candles.open)) or row["setup_bar"] < start:
            continue
        if candles.filled[e] or e < free_from or candles.day[e] <= closed_day or equity <= 0.0:
            continue
        levels = levels_of(candles, row, setting, terms.costs["slippage"], terms.risk, e)
        if levels is None:
            continue
        trade = held(candles, row, setting, terms, levels, e, end)
        yield trade
        free_from, today = trade["exit_bar"] + 1, candles.day[trade["exit_bar"]]
        if today != day:
            day, day_began = today, equity
        equity *= 1.0 + size * trade["ret"]
        streak = streak + 1 if trade["ret"] < 0.0 else 0
        lost = risk["max_daily_loss"] is not None
        lost = lost and equity / day_began - 1.0 <= -risk["max_daily_loss"]
        tired = risk["consecutive_losses_limit"] is not None
        if lost or (tired and streak >= risk["consecutive_losses_limit"]):
            closed_day, streak = today, 0


def levels_of(candles, row, setting, slip, risk, e):
    """Entry, stop, target, distance and level of liquidation, None for none; None if dropped."""
    long, atr = row["side"] > 0, row["atr"]
    opening = float(candles.open[e])
    entry = opening * (1.0 + slip) if long else opening * (1.0 - slip)
    away = 1.0 if long else -1.0
    stop = target = distance = None
    if "stop_distance" in setting:
        distance = setting["stop_distance"] * atr
        stop = entry - away * distance
    elif "stop_fraction" in setting:
        distance = setting["stop_fraction"] * entry
        stop = entry - away * distance
    elif "stop_offset" in setting:
        stop = row["stop_level"] - away * setting["stop_offset"] * atr
        distance = entry - stop if long else stop - entry
        if not (opening > stop if long else opening < stop):
            return None
    if distance is not None and not distance > 0.0:
        return None
    if "target_multiple" in setting:
        target = entry + away * setting["target_multiple"] * distance
    elif "target_distance" in setting:
        target = entry + away * setting["target_distance"] * atr
    elif "target_fraction" in setting:
        target = entry + away * setting["target_fraction"] * entry
    elif "target_reach" in setting:
        if not (row["target_level"] > entry if long else row["target_level"] < entry):
            return None
        target = entry + setting["target_reach"] * (row["target_level"] - entry)
    liquidation, leverage = None, risk.get("leverage")
    if leverage is not None:
        margin, kept = 1.0 / leverage, risk["maintenance_rate"]
        liquidation = entry * ((1 - margin) / (1 - kept) if long else (1 + margin) / (1 + kept))
    return entry, stop, target, distance, liquidation


def held(candles, row, setting, terms, levels, e, end):
    """Hold to the exit; return the trade by the names of golden files."""
    entry, _, target, _, liquidation = levels
    long, best = row["side"] > 0, None
    limits = [setting.get("holding_bars"), terms.risk["max_holding_bars"]]
    longest = min((limit for limit in limits if limit is not None), default=math.inf)
    for j in range(e, end):
        opening, high, low, close = (
            float(getattr(candles, name)[j]) for name in ("open", "high", "low", "close")
        )
        stop, way_out = in_force(row, setting, levels, best), None
        if not candles.filled[j]:
            if j > e and stop is not None and (opening <= stop if long else opening >= stop):
                way_out = "stop_gap", opening
            elif (
                j > e and target is not None and (opening >= target if long else opening <= target)
            ):
                way_out = "target_gap", target
            elif j > row.get("exit_signal_bar", -1) >= 0:
                way_out = "signal", opening
            elif stop is not None and (low <= stop if long else high >= stop):
                worse = min(stop, opening) if long else max(stop, opening)
                way_out = "stop", worse if j == e else stop
            elif target is not None and (high >= target if long else low <= target):
                way_out = "target", target
        if way_out is None and j - e + 1 == longest:
            way_out = "time", close
        if way_out is None and j == end - 1:
            way_out = "end", close
        if way_out is not None:
            return settled(candles, row, terms, (entry, liquidation), (e, j), *way_out)
        extreme = high if long else low
        best = extreme if best is None else max(best, extreme) if long else min(best, extreme)
    raise AssertionError("the last bar is an end")


def in_force(row, setting, levels, best):
    """Return the tightest of the stops after ``best``, None in the entry bar; None for no stop."""
    entry, stop, _, distance, liquidation = levels
    long, atr = row["side"] > 0, row["atr"]
    stops = [price for price in (stop, liquidation) if price is not None]
    if best is not None and "break_even_trigger" in setting:
        ahead = setting["break_even_trigger"] * distance
        if best >= entry + ahead if long else best <= entry - ahead:
            stops.append(entry)
    if best is not None and "trail_distance" in setting:
        ahead, behind = setting["trail_activation"] * atr, setting["trail_distance"] * atr
        if best >= entry + ahead if long else best <= entry - ahead:
            stops.append(best - behind if long else best + behind)
    return (max if long else min)(stops, default=None)


def settled(candles, row, terms, levels, bars, reason, price):
    """Sell what is held: one unit bought, or sold short, at the entry; return the trade."""
    (entry, liquidation), (e, j), costs = levels, bars, terms.costs
    long, maker = row["side"] > 0, costs["maker_fee"]
    fee = costs["fee"]
    gone = reason in ("stop", "stop_gap") and liquidation is not None
    if gone and (price <= liquidation if long else price >= liquidation):
        reason, margin = "liquidation", entry / terms.risk["leverage"]
        price = entry - margin if long else entry + margin
    elif reason in ("target", "target_gap"):
        fee = fee if maker is None else maker
    else:
        price -= price * costs["slippage"] if long else -price * costs["slippage"]
    money = (price - entry if long else entry - price) - costs["fee"] * entry - fee * price
    opened, closed = int(candles.timestamp[e]), int(candles.timestamp[j])
    for time, rate in terms.funding or ():
        if opened < time <= closed:
            money -= rate * entry if long else -rate * entry
    if not long and terms.funding is None:
        days = (closed + candles.step_ms - opened) / DAY
        money -= (costs.get("borrow_rate") or 0.0) * days * entry
    return {
        "side": row["side"], "setup_bar": row["setup_bar"], "signal_bar": row["signal_bar"],
        "entry_bar": e, "exit_bar": j, "entry": entry, "exit": price, "reason": reason,
        "ret": money / entry,
    }  # fmt: skip


def metrics_of(candles, trades, size, window):
    """Compute the metrics of fills rules §10, None where undefined."""
    first, last = (int(candles.day[bar]) for bar in (window[0], window[1] - 1))
    equity, peak, drawdown, daily, gains = 1.0, 1.0, 0.0, [0.0] * (last - first + 1), []
    for trade in trades:
        gains.append(size * trade["ret"])
        today = int(candles.day[trade["exit_bar"]]) - first
        equity *= 1.0 + gains[-1]
        daily[today] = (1.0 + daily[today]) * (1.0 + gains[-1]) - 1.0
        peak = max(peak, equity)
        drawdown = max(drawdown, 1.0 - equity / peak)
    n = len(daily)
    wins, losses = [g for g in gains if g > 0], [g for g in gains if not g > 0]
    below = math.sqrt(sum(min(r, 0.0) ** 2 for r in daily) / n)
    mean, deviation = statistics.fmean(daily), statistics.stdev(daily) if n > 1 else 0.0
    log_growth = math.log(equity) * 365 / n if equity > 0.0 else -math.inf
    growth = math.exp(log_growth) - 1.0 if log_growth < 700 else math.inf
    return {
        "net_profit": equity - 1.0,
        "sharpe_ratio": mean / deviation * math.sqrt(365) if deviation > 1e-9 else 0.0,
        "sortino_ratio": mean / below * math.sqrt(365)
        if below and n > 1
        else 0.0
        if below
        else None,
        "max_drawdown": drawdown,
        "calmar_ratio": growth / drawdown if drawdown and growth < math.inf else None,
        "sample_size": len(gains),
        "win_rate": len(wins) / len(gains) if gains else 0.0,
        "avg_win": statistics.fmean(wins) if wins else 0.0,
        "avg_loss": statistics.fmean(losses) if losses else 0.0,
        "profit_factor": sum(wins) / -sum(losses) if any(losses) else None,
        "n_days": n,
    }
