"""Write the page of a configuration, or of a sweep, as one HTML file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.report import sections
from pipeline.report.figures import Q_LIMIT, discoveries, sharpe_ratios
from pipeline.report.loading import ReportData, SweptMarket
from pipeline.report.payload import payload
from pipeline.report.shell import render
from pipeline.report.theme import themed
from pipeline.results.records import Sweep
from pipeline.validation.stages import STAGES
from pipeline.validation.wording import VERDICTS, plural


def page(report: ReportData) -> str:
    """Return the page of a configuration.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    return render(
        "configuration.jinja",
        sections.title(report),
        payload(report),
        head=sections.head(report),
        sections=sections.sections(report),
    )


def sweep_page(sweep: Sweep, markets: Sequence[SweptMarket]) -> str:
    """Return the page of a sweep.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    q_values = [market.fdr_q_value for market in markets if market.fdr_q_value is not None]
    figures = {"sharpe": sharpe_ratios(markets), "discoveries": discoveries(markets)}
    return render(
        "sweep.jinja",
        f"Sweep of {plural(len(markets), 'market')}",
        themed(figures),
        sweep=sweep,
        markets=markets,
        verdicts=_verdicts(markets),
        tested=len(q_values),
        discovered=sum(q_value < Q_LIMIT for q_value in q_values),
        Q_LIMIT=Q_LIMIT,
        failures=[f"{m.market}: {m.error}" for m in markets if m.error is not None],
    )


def _verdicts(markets: Sequence[SweptMarket]) -> list[str]:
    """Count the stages, the highest first, and say what each means."""
    counted = Counter((market.stage, market.outcome) for market in markets)
    ranked = sorted(counted, key=lambda kind: (-STAGES.index(kind[0]) if kind[0] else 1, kind[1]))
    return [
        f"{counted[stage, outcome]} {outcome}" + (f": {VERDICTS[stage]}" if stage else "")
        for stage, outcome in ranked
    ]
