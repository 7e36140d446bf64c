"""Pool the out-of-sample series of many markets into one verdict (validation rules §3.19).

One strategy's markets are held in equal parts, levelled every day. What they earned together is one
series that nobody chose from, so an ordinary test on it is valid. It is mostly a stronger one: what
is luck in a market is not luck in all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gpu_engine import DAYS_PER_YEAR, Float, Int32, Int64, metrics_of
from pipeline.validation.stages import LEVEL
from pipeline.validation.statistics import moments, sharpe_interval, sharpe_test
from pipeline.validation.wording import defined, marked, number, percent, plural, share

#: Days that two markets must share before their correlation counts: of so many independent days the
#: 95 % interval around 0 is ±0.36 (Fisher's z, standard error 1 / sqrt(days - 3)).
COMMON_DAYS = 30


class MarketSeries(NamedTuple):
    """Out-of-sample daily returns of one market: ``day`` int32 (T,), ``returns`` float64 (T,)."""

    coin: str
    day: Int32
    returns: Float


@dataclass(frozen=True)
class PooledVerdict:
    """What the markets of one strategy came to together; None where a figure is undefined.

    ``markets`` and distinct ``coins`` are those in the pool; ``left_out`` counts the markets of the
    sweep, of either kind of candles, that completed and stored nothing. Profit and drawdown are
    fractions of equity, Sharpe ratios annualised, days UTC dates. ``mean_sharpe_ratio`` is of the
    markets one by one. ``earned`` counts the markets whose own net profit is above 0;
    ``largest_part`` is the largest market's part of the pool's summed returns, above 1 where the
    others lost, None where the pool did not earn. A pool of an earlier build has neither.
    """

    strategy: str
    synthetic: bool
    markets: int
    coins: int
    left_out: int
    days: int
    first_day: str
    last_day: str
    net_profit: float
    sharpe_ratio: float | None
    sharpe_interval: dict[str, float] | None
    mean_sharpe_ratio: float | None
    z_score: float | None
    p_value: float | None
    max_drawdown: float
    mean_correlation: float | None
    earned: int | None = None
    largest_part: float | None = None


def pooled_series(series: Sequence[MarketSeries]) -> tuple[Int32, Float]:
    """Average the markets' returns on every day on which any of them has one.

    A market without the day, or without a finite return on it, is left out of that day's mean.

    Returns
    -------
    int32 array of shape (D,)
        UTC days, days since the epoch, ascending; there may be gaps between them.
    float64 array of shape (D,)
        Mean return of each.
    """
    day, table = _table(series)
    returns: Float = np.nanmean(table, axis=1)
    return day, returns


def mean_correlation(series: Sequence[MarketSeries]) -> float | None:
    """Average the correlation of daily returns over all pairs of markets; see `correlations`.

    A pair without one does not count; None where no pair has one.
    """
    correlation, _ = correlations(series)
    pairs = correlation[np.triu_indices(len(series), k=1)]
    known = pairs[~np.isnan(pairs)]
    return float(known.mean()) if len(known) else None


def correlations(series: Sequence[MarketSeries]) -> tuple[Float, Int64]:
    """Correlate the daily returns of every two markets on the days that both have (Pearson).

    Returns
    -------
    float64 array of shape (M, M)
        NaN where they share fewer than `COMMON_DAYS` days, or where one does not vary on those.
    int64 array of shape (M, M)
        Days that they share; on the diagonal those that a market has.
    """
    _, table = _table(series)
    here = np.isfinite(table)
    values, present = np.where(here, table, 0.0), here.astype(np.float64)
    days = present.T @ present
    with np.errstate(divide="ignore", invalid="ignore"):
        sums, squares = values.T @ present, (values**2).T @ present
        covariance = values.T @ values - sums * sums.T / days
        variance = squares - sums**2 / days
        floor = 1e-13 * squares  # what rounding leaves of equal days in sums of squares
        correlation = covariance / np.sqrt(variance * variance.T)
    counts = (days >= COMMON_DAYS) & (variance > floor) & (variance > floor).T
    return np.where(counts, correlation, np.nan), days.astype(np.int64)


def pooled_verdict(
    series: Sequence[MarketSeries], *, strategy: str, synthetic: bool, left_out: int
) -> PooledVerdict | None:
    """Judge the markets of one strategy and kind of candles together; None for fewer than two."""
    if len(series) < 2:
        return None
    day, returns = pooled_series(series)
    test, metrics = sharpe_test(returns), metrics_of(returns, returns)
    net_profit = float(metrics["net_profit"])
    own = [_annual(market.returns) for market in series]
    known = [sharpe for sharpe in own if sharpe is not None]
    return PooledVerdict(
        strategy=strategy,
        synthetic=synthetic,
        markets=len(series),
        coins=len({market.coin for market in series}),
        left_out=left_out,
        days=len(day),
        first_day=str(np.datetime64(int(day[0]), "D")),
        last_day=str(np.datetime64(int(day[-1]), "D")),
        net_profit=net_profit,
        sharpe_ratio=_annual(returns),
        sharpe_interval=sharpe_interval(returns),
        mean_sharpe_ratio=float(np.mean(known)) if known else None,
        z_score=test.z_score,
        p_value=test.p_value,
        max_drawdown=float(metrics["max_drawdown"]),
        mean_correlation=mean_correlation(series),
        earned=sum(
            bool(np.prod(1.0 + r[np.isfinite(r)]) > 1.0) for r in (m.returns for m in series)
        ),
        largest_part=_largest_part(series) if net_profit > 0.0 else None,
    )


def pooled_sentences(pool: PooledVerdict) -> list[str]:
    """Say what a pool is of, what it earned, and whether that is more than luck."""
    of = f"{plural(pool.markets, 'market')} of {plural(pool.coins, 'coin')}"
    interval, p, left_out = pool.sharpe_interval, pool.p_value, pool.left_out
    within = f" (95 %: {interval['low']:.2f} to {interval['high']:.2f})" if interval else ""
    missing = ""
    if left_out:
        missing = (
            f" Not in it: {plural(left_out, 'market')} that stored nothing. So what is pooled was"
            " chosen after looking, and p can be too small."
        )
    if pool.net_profit < 0.0:
        came = f"lost {share(-pool.net_profit)}"
    else:
        came = f"earned {'' if p is not None and p < LEVEL else 'no '}more than luck explains"
    each = "" if pool.earned is None else f" {pool.earned:,} of the {pool.markets:,} markets earned"
    if each and pool.largest_part is not None:
        each += f"; the best of them made {share(pool.largest_part)} of the pool's profit"
    return [
        marked(f"Pool of {of} in equal parts, {pool.strategy}", pool.synthetic)
        + f", {plural(pool.days, 'day')} from {pool.first_day} to {pool.last_day}:"
        f" together they {came}, p {number(p)}.{each}{'.' if each else ''} This lifts no market's"
        f" stage.{missing}",
        marked("Pool", pool.synthetic)
        + f": Sharpe {defined(pool.sharpe_ratio, '.2f')}{within}, its markets'"
        f" {defined(pool.mean_sharpe_ratio, '.2f')} on average; net profit"
        f" {percent(pool.net_profit)}, largest drawdown {share(pool.max_drawdown)}, mean"
        f" correlation of the markets' days {defined(pool.mean_correlation, '.2f')}.",
    ]


def _table(series: Sequence[MarketSeries]) -> tuple[Int32, Float]:
    """Days that any market has, (D,), and every market's returns, (D, M), NaN where it has none."""
    finite = [np.isfinite(market.returns) for market in series]
    days = [market.day[here] for market, here in zip(series, finite, strict=True)]
    day = np.unique(np.concatenate(days))
    table = np.full((len(day), len(series)), math.nan)
    for column, (market, here) in enumerate(zip(series, finite, strict=True)):
        table[np.searchsorted(day, days[column]), column] = market.returns[here]
    return day, table


def _largest_part(series: Sequence[MarketSeries]) -> float | None:
    """Return the best market's part of the summed daily means; None unless they are a profit."""
    _, table = _table(series)
    made = np.nansum(table / np.isfinite(table).sum(axis=1, keepdims=True), axis=0)
    return float(made.max() / made.sum()) if made.sum() > 0.0 else None


def _annual(daily: Float) -> float | None:
    sharpe = moments(daily).sharpe
    return None if math.isnan(sharpe) else sharpe * math.sqrt(DAYS_PER_YEAR)
