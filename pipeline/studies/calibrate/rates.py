"""Rates of error: a share of cases with its interval, and false discoveries."""

from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """``count`` of ``total``, with the two-sided 95 % interval of the probability behind it."""

    count: int
    total: int

    @property
    def share(self) -> float | None:
        """Maximum likelihood estimate; None without cases."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """`clopper_pearson` of the counts."""
        return clopper_pearson(self.count, self.total)

    def __str__(self) -> str:
        if self.share is None:
            return "-"
        low, high = self.interval
        return f"{100 * self.share:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a binomial probability, exact: never too narrow.

    Quantiles of beta distributions (Clopper & Pearson 1934, Biometrika 26, 404-413): the lower end
    is that probability under which ``count`` or more have 2.5 %, the upper end that under which
    ``count`` or fewer have. No cases leave all open, (0, 1).
    """
    from scipy.stats import beta  # a second to import

    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(beta.isf(tail, count + 1, total - count)) if count < total else 1.0
    return low, high


def false_discovery_rate(
    true_share: float, false_positive_rate: float, power: float
) -> float | None:
    """Share of the markets found in which nothing is, when ``true_share`` of all have an edge.

    ``(1 - p) a / ((1 - p) a + p power)`` (Lopez de Prado, Lipton & Zoonekynd 2025, "How to use the
    Sharpe ratio"); None where nothing is ever found.
    """
    false = (1.0 - true_share) * false_positive_rate
    found = false + true_share * power
    return false / found if found else None
