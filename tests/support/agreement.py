"""When two backends agree: same trades, prices and returns to 1e-12, metrics to 1e-9."""

import numpy as np

from gpu_engine import METRICS, TRADE

EXACT = [name for name in TRADE.names if TRADE[name].kind == "i"]
PRICES = ("entry", "exit", "stop", "target")


def assert_same_trades(actual, expected):
    """Bars, sides and reasons equal; prices to 1e-12 relative, returns to 1e-12 absolute."""
    assert actual.dtype == TRADE
    for name in EXACT:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
    for name in (n for n in PRICES if n in expected.dtype.names):  # golden files have no levels
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-12, atol=0, err_msg=name)
    np.testing.assert_allclose(actual["ret"], expected["ret"], rtol=0, atol=1e-12, err_msg="ret")


def assert_same_metrics(actual, expected):
    """Every field to 1e-9, relative or absolute below 1; NaN only where NaN is expected."""
    assert actual.dtype == expected.dtype == METRICS
    for name in METRICS.names:
        a, e = np.asarray(actual[name], np.float64), np.asarray(expected[name], np.float64)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(e), err_msg=name)
        with np.errstate(invalid="ignore"):  # inf - inf: equal, and said so first
            near = (a == e) | (np.abs(a - e) <= 1e-9 * np.maximum(1.0, np.abs(e)))
        assert np.all(near | np.isnan(e)), (name, a[~near], e[~near])
