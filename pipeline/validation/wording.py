"""Write verdicts and figures in the words that every command shares."""

import math

from pipeline.validation.stages import Stage

SYNTHETIC = "SYNTHETIC candles: nothing below says anything about a market."

VERDICTS: dict[Stage, str] = {
    "PAPER": "it does not earn enough on days that no search had seen: watch it, trade nothing",
    "DISCOVERY": "it earned out of sample, too rarely or too little to tell from luck",
    "VALIDATION": "it earned out of sample beyond the luck of one series, and a gate of MATURE is"
    " not passed yet",
    "MATURE": "it earned out of sample beyond the luck of the whole search",
    "DECAY": "it earned once, and stopped on newer candles: trade nothing",
}

#: Of stages where nothing but live orders keeps a configuration from the next.
LIVE_VERDICTS: dict[Stage, str] = {
    "PAPER": "too few of its live orders were filled: watch it, trade nothing",
    "VALIDATION": "it earned out of sample beyond the luck of the whole search, but prices went"
    " against its live orders",
}

#: Metrics as tables have them: what they are called, their field, how they are written.
METRIC_ROWS = (
    ("net profit", "net_profit", "+.2%"),
    ("Sharpe ratio", "sharpe_ratio", ".2f"),
    ("Sortino ratio", "sortino_ratio", ".2f"),
    ("Calmar ratio", "calmar_ratio", ".2f"),
    ("largest drawdown", "max_drawdown", ".2%"),
    ("trades", "sample_size", "d"),
    ("win rate", "win_rate", ".1%"),
    ("profit factor", "profit_factor", ".2f"),
    ("days", "n_days", "d"),
)

#: What each statistic says, in the order of a table.
MEANINGS = {
    "p_value": "of the out-of-sample series against a Sharpe ratio of 0",
    "z_score": "the same, in standard deviations",
    "reality_check_p": "of the best of all combinations against the best of luck",
    "surrogate_p": "of the same against the search on candles without an edge",
    "deflated_sharpe_ratio": "of the best, given how many were tried: a band",
    "pbo": "probability that the best in sample is below the median out of sample",
    "p_oos_loss": "probability that it loses there; read both together",
    "walk_forward_efficiency": "annualised out-of-sample over promised net profit",
    "stability_score": "share of the winner's neighbours with a positive score",
    "monte_carlo_var": "loss over 30 days that 95 % of drift-free paths stay within",
    "monte_carlo_drawdown": "drawdown of the same paths",
    "ambiguous_exit_share": "trades whose exit bar touched stop and target",
    "net_profit_target_first": "out-of-sample net profit had the target come first",
}

#: How fractions are written; every other figure has four digits.
FRACTIONS = {
    "net_profit": "+.2%",
    "net_profit_target_first": "+.2%",
    "monte_carlo_var": ".2%",
    "monte_carlo_drawdown": ".2%",
    "ambiguous_exit_share": ".2%",
    "stability_score": ".1%",
    "fill_rate": ".1%",
}


def marked(text: str, synthetic: bool) -> str:
    """Put SYNTHETIC before the name of what comes of invented candles."""
    return f"SYNTHETIC {text}" if synthetic else text


def percent(value: float) -> str:
    """``+12.3 %`` for 0.123; 0 without a sign, and what a tenth cannot show with two digits."""
    if value == 0.0:
        return "0 %"
    form = "+.1f" if abs(value) >= 0.001 else "+.2g"
    return f"{100.0 * value:{form}} %"


def share(value: float) -> str:
    """`percent` without a plus sign: ``94.8 %``."""
    return percent(value).lstrip("+")


def number(value: float | None) -> str:
    """Three significant digits; whole numbers as they are."""
    if value is None:
        return "undefined"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def plural(count: int, noun: str) -> str:
    """``1 day``, ``1,234 days``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def defined(value: float | None, form: str) -> str:
    """Write a metric; where nothing was lost some are undefined."""
    return "-" if value is None or math.isnan(value) else format(value, form)


def plain(name: str, value: float | bool | dict[str, float] | None) -> str:
    """Write a statistic, by its name."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return f"{value['low']:.4g} to {value['high']:.4g}"
    return format(value, FRACTIONS.get(name, ".4g"))
