"""Write the page of a configuration, or of a sweep, as one HTML file.

The Studio shows the parts of a configuration's page one by one, in a frame of its own.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from pipeline.market_data.timeframe import timeframe_ms, utc
from pipeline.report import figures, headline, performance
from pipeline.report.heatmap import choices, heatmaps, is_whole, scores_of
from pipeline.report.loading import ReportData, SweptMarket, trade_time
from pipeline.report.shell import TEMPLATES, macro, render
from pipeline.report.spread import evidence_sentences, parameter_spread
from pipeline.report.sweep import luck, verdicts
from pipeline.report.theme import Figure, neutral, themed
from pipeline.report.trades import DETAILED, reason, side, trade_charts
from pipeline.results.artifacts.artifact_set import ArtifactSet, NullDistribution
from pipeline.results.records import Sweep
from pipeline.validation import wording
from pipeline.validation.pooling import pooled_sentences
from pipeline.validation.record_tables import record_tables, settings, statistic_rows
from pipeline.validation.stages import Q_LIMIT

#: Fields of a quality report that are milliseconds since the epoch.
_MOMENTS = frozenset(
    {
        *("first_bar", "last_bar", "first_ohlc_violation", "stale_since"),
        *("worst_deviation_at", "volume_change_since", "largest_disagreement_at"),
    }
)

#: Titles by id, in the order in which they are read; a macro of `sections.jinja` draws each.
TITLES = {
    "verdict": "Gates and caveats",
    "performance": "Performance",
    "windows": "Walk-forward windows",
    "parameters": "Parameters",
    "surface": "Score surface",
    "luck": "Luck or edge",
    "trade-list": "Trades out of sample",
    "breakers": "Circuit breakers",
    "history": "Audit trail",
    "provenance": "Provenance",
    "document": "Configuration V3",
}


class Section(NamedTuple):
    """A part of the page: its id, its title, and what is in it."""

    name: str
    title: str
    inner: Markup


def page(report: ReportData) -> str:
    """Return the page of a configuration.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    return render(
        "configuration.jinja",
        title(report),
        payload(report),
        head=head(report),
        sections=sections(report),
    )


def sweep_page(sweep: Sweep, markets: Sequence[SweptMarket]) -> str:
    """Return the page of a sweep.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    drawn = {"sharpe": figures.sharpe_ratios(markets), "discoveries": figures.discoveries(markets)}
    count = wording.trainings(len(markets), len({market.key for market in markets}))
    return render(
        "sweep.jinja",
        f"Sweep of {count}",
        themed(drawn),
        sweep=sweep,
        count=count,
        markets=markets,
        verdicts=verdicts(markets),
        luck=luck(sweep, markets),
        pooled=[line for pool in sweep.pooled or () for line in pooled_sentences(pool)],
        Q_LIMIT=Q_LIMIT,
        failures=[f"{m.name}: {m.error}" for m in markets if m.error is not None],
    )


def title(report: ReportData) -> str:
    """Return the title of the page."""
    explanation = report.explanation
    named = explanation.stage or explanation.badge
    return wording.marked(f"{explanation.market} {named}", explanation.synthetic)


def head(report: ReportData) -> Markup:
    """Return which configuration this is, and a mark where its candles were invented."""
    return _macro("head", report)


def sections(report: ReportData) -> list[Section]:
    """Return all parts in their order."""
    return [
        Section(name, heading, _macro(name.replace("-", "_"), report))
        for name, heading in TITLES.items()
    ]


def excursion_part(
    trades: performance.Trades, ran: performance.Excursions, invented: bool
) -> tuple[Markup, Figure]:
    """Return the table of excursions, and the figure beside it, whose caption is `EXCURSIONS`."""
    part = macro("sections.jinja", "record_table", performance.excursion_table(trades, ran))
    return part, neutral(performance.excursion_figure(trades, ran), invented)


def _macro(name: str, report: ReportData) -> Markup:
    return macro("sections.jinja", name, report)


def _without_winner(null: NullDistribution) -> list[str]:
    """Say of each kind of surrogates in how many the search found nothing admissible."""
    return [
        f"In {wording.plural(int((best == -float('inf')).sum()), 'surrogate')} of {len(best):,}"
        f" {kind} nothing was admissible."
        for kind, best in null.surrogates.items()
        if (best == -float("inf")).any()
    ]


def _origin(report: ReportData) -> tuple[list[tuple[str, str]], ...]:
    """Return the rows of three tables: origin, versions, quality of the candles."""
    origin = {"job": report.job.id, **report.configuration.provenance}
    quality, versions = origin.pop("quality", None) or {}, origin.pop("runtime_env", None) or {}
    quality = {
        name: utc(value) if name in _MOMENTS and value is not None else value
        for name, value in quality.items()
    }
    return tuple(
        [(name, _written(value)) for name, value in group.items()]
        for group in (origin, versions, quality)
    )


def _written(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value) if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value)


def payload(report: ReportData) -> dict[str, Any]:
    """Return all that a report draws; what is missing is left out."""
    record = report.artifacts
    if record is None:
        return themed({})
    drawn = themed(fixed_figures(report, record))
    scores = scores_of(record)
    if scores is not None and len(choices(scores)) > 1:
        drawn["heatmap"] = heatmaps(
            scores, report.configuration.parameters, report.job.config.get("objective")
        )
    if report.candles is not None and len(record.trades):
        ran = performance.excursion_figure(
            record.trades, performance.excursions_of(report.candles, record.trades)
        )
        invented = report.configuration.synthetic
        drawn["figures"]["excursions"] = neutral(ran, invented)
        charts = trade_charts(report.candles, record, report)
        drawn["trades"] = [neutral(chart, invented) for chart in charts]
    return drawn


def fixed_figures(report: ReportData, record: ArtifactSet) -> dict[str, Figure]:
    """Return the figures that nobody chooses anything in, by their place in the sections."""
    stored, windows = report.configuration.parameters, record.windows
    made = {
        "equity": figures.equity(record.in_sample, record.out_of_sample),
        "drawdown": figures.drawdown(record.in_sample, record.out_of_sample),
        "windows": figures.window_spans(windows),
        "promises": figures.window_metric(windows),
        "spread": parameter_spread(
            windows,
            stored,
            report.searched,
            report.configuration.statistics.get("parameter_choices"),
        ),
    }
    if len(record.trades):
        made["holding"] = performance.holding_figure(record.trades)
    if record.null is not None:
        made["null"] = figures.null_distribution(record.null)
    return made


#: Caption of the figure of excursions.
EXCURSIONS = "Each trade: how far it ran against itself and in its favour."

#: What the templates call.
TEMPLATES.globals.update(
    EXCURSIONS=EXCURSIONS,
    reason=reason,
    base64=lambda text: base64.b64encode(text.encode()).decode(),
    document_text=lambda row: json.dumps(row.document, indent=2, ensure_ascii=False),
    excursion_table_of=lambda report: performance.excursion_table(
        report.artifacts.trades, performance.excursions_of(report.candles, report.artifacts.trades)
    ),
    holding_table_of=lambda report: performance.holding_table(
        report.artifacts.trades, timeframe_ms(report.configuration.timeframe)
    ),
    month_table=performance.month_table,
    origin_of=_origin,
    DETAILED=DETAILED,
    choices=choices,
    is_whole=is_whole,
    scores_of=scores_of,
    setting=wording.setting,
    newer_days_of=headline.newer_days,
    period_of=headline.period,
    sentence_of=headline.sentence,
    side=side,
    sparkline_of=headline.sparkline,
    statistic_rows=statistic_rows,
    choices_of=lambda row: settings(row.parameters, row.statistics),
    tables_of=lambda c: record_tables(c.in_sample, c.out_of_sample, c.statistics, None),
    evidence_sentences=evidence_sentences,
    tiles_of=headline.tiles,
    trade_time=trade_time,
    without_winner=_without_winner,
    wording=wording,
)
