"""Many markets pooled into one series: by hand, against luck, and with an edge in all of them."""

import numpy as np
import pytest

from gpu_engine import DAYS_PER_YEAR
from pipeline.validation.pooling import (
    COMMON_DAYS,
    MarketSeries,
    mean_correlation,
    pooled_sentences,
    pooled_series,
    pooled_verdict,
)
from pipeline.validation.statistics import sharpe_interval, sharpe_test


def market(returns, first=0, coin="BTC"):
    day = np.arange(first, first + len(returns), dtype=np.int32)
    return MarketSeries(coin, day, np.array(returns, dtype=np.float64))


def verdict(*series, left_out=0):
    return pooled_verdict(series, strategy="S", synthetic=False, left_out=left_out)


def exact(days, markets, sharpe, seed=1):
    """Series that do not correlate at all, each with exactly this Sharpe ratio a day."""
    draws = np.random.default_rng(seed).normal(size=(days, markets + 1))
    draws[:, 0] = 1.0
    columns, _ = np.linalg.qr(draws)
    deviations = columns[:, 1:] * np.sqrt(days - 1)  # mean 0, deviation 1 with ddof 1
    return [market(0.01 * (column + sharpe), coin=f"C{i}") for i, column in enumerate(deviations.T)]


def test_a_day_is_the_mean_of_the_markets_that_have_it():
    long = market([0.01, 0.02, 0.03, 0.04], first=10)
    late = market([0.05, -0.01], first=12)
    alone = market([0.2], first=20)
    day, returns = pooled_series([long, late, alone])
    assert day.tolist() == [10, 11, 12, 13, 20]
    assert returns == pytest.approx([0.01, 0.02, 0.04, 0.015, 0.2])


def test_a_day_without_a_finite_return_is_no_day_of_that_market():
    day, returns = pooled_series([market([0.01, np.nan, 0.03]), market([0.03, 0.05, np.inf])])
    assert day.tolist() == [0, 1, 2]
    assert returns == pytest.approx([0.02, 0.05, 0.03])


def test_the_verdict_by_hand():
    pool = verdict(market([0.10, -0.20, 0.05]), market([0.00, 0.10, 0.15]), left_out=2)
    returns = np.array([0.05, -0.05, 0.10])
    assert (pool.markets, pool.coins, pool.left_out, pool.days) == (2, 1, 2, 3)
    assert (pool.first_day, pool.last_day) == ("1970-01-01", "1970-01-03")
    assert pool.net_profit == pytest.approx(1.05 * 0.95 * 1.10 - 1.0)
    assert pool.max_drawdown == pytest.approx(0.05)
    year = np.sqrt(DAYS_PER_YEAR)
    assert pool.sharpe_ratio == pytest.approx(returns.mean() / returns.std(ddof=1) * year)
    assert pool.p_value == pytest.approx(sharpe_test(returns).p_value)
    assert pool.sharpe_interval == pytest.approx(sharpe_interval(returns))
    assert pool.mean_correlation is None  # three days tell nothing
    assert pool.earned == 1  # 1.1 * 0.8 * 1.05 < 1
    assert pool.largest_part == pytest.approx(0.25 / (0.25 - 0.05))


def test_one_market_is_no_pool():
    assert verdict(market([0.1, 0.2])) is None
    assert verdict() is None


def test_markets_of_one_coin_are_counted_as_one_coin():
    pool = verdict(market([0.1, 0.2], coin="BTC"), market([0.1, 0.3], coin="BTC"),
                   market([0.2, 0.3], coin="ETH"))  # fmt: skip
    assert (pool.markets, pool.coins) == (3, 2)


@pytest.mark.parametrize("markets", [3, 6])
def test_markets_that_do_not_correlate_raise_the_sharpe_ratio_by_the_root_of_their_number(markets):
    series = exact(365, markets, 0.05)
    pool, (one, *_) = verdict(*series), series
    assert pool.mean_sharpe_ratio == pytest.approx(0.05 * np.sqrt(DAYS_PER_YEAR))
    assert pool.sharpe_ratio == pytest.approx(np.sqrt(markets) * pool.mean_sharpe_ratio)
    assert pool.mean_correlation == pytest.approx(0.0, abs=1e-9)
    assert sharpe_test(one.returns).p_value > 0.05 > pool.p_value


def test_markets_that_are_one_raise_nothing():
    (one,) = exact(365, 1, 0.05)
    pool = verdict(one, one, one)
    assert pool.sharpe_ratio == pytest.approx(pool.mean_sharpe_ratio)
    assert pool.p_value == pytest.approx(sharpe_test(one.returns).p_value)
    assert pool.mean_correlation == pytest.approx(1.0)


def test_the_correlation_is_that_of_the_common_days():
    rng = np.random.default_rng(5)
    first, second, third = rng.normal(size=(3, 200)) + 0.5 * rng.normal(size=200)
    series = [market(first), market(second, first=50), market(third, first=170)]
    pairs = [(first[50:], second[:150]), (first[170:], third[:30]), (second[120:], third[:80])]
    expected = np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs])
    assert mean_correlation(series) == pytest.approx(expected)
    apart = [market(first), market(second, first=200 - COMMON_DAYS + 1)]
    assert mean_correlation(apart) is None
    flat = market(np.full(200, 0.001))
    assert mean_correlation([*series, flat]) == pytest.approx(expected)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_pools_of_markets_without_an_edge_pass_at_five_percent(correlation):
    """Trades on a third of the days, markets of unequal histories."""
    rng, passed, pools = np.random.default_rng(11), 0, 2000
    for _ in range(pools):
        own = rng.standard_t(5, size=(3, 240)) * (rng.random((3, 240)) < 1 / 3)
        together = rng.standard_t(5, size=240) * (rng.random(240) < 1 / 3)
        days = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * together
        pool = verdict(market(days[0]), market(days[1][60:], first=60), market(days[2][:150]))
        passed += pool.p_value < 0.05
    assert 0.037 < passed / pools < 0.063


def test_what_is_said_of_a_pool():
    series = exact(365, 3, 0.08)
    beats, none = verdict(*series), verdict(*exact(365, 3, 0.01), left_out=1)
    assert "earned more than luck explains" in pooled_sentences(beats)[0]
    assert "no more than luck explains" in pooled_sentences(none)[0]
    assert f" {beats.earned} of the 3 markets earned; the best" in pooled_sentences(beats)[0]
    lost = verdict(market([-0.1, 0.05]), market([0.04, -0.02]))
    assert (lost.earned, lost.largest_part) == (1, None)
    assert "together they lost 1.5 %, p" in pooled_sentences(lost)[0]
    assert "1 market that stored nothing" in pooled_sentences(none)[0]
    assert "p can be too small" in pooled_sentences(none)[0]
    assert "p can be too small" not in pooled_sentences(beats)[0]
    invented = pooled_verdict(series, strategy="S", synthetic=True, left_out=0)
    assert all(line.startswith("SYNTHETIC") for line in pooled_sentences(invented))
