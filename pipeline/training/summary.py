"""Print the end of a run: the quality of the candles, the evidence, the verdict."""

from typing import Any

from pipeline.cli.console import Console
from pipeline.market_data.quality.report import QualityReport
from pipeline.market_data.sources import MarketCandles
from pipeline.market_data.timeframe import utc
from pipeline.training.run import TrainingResult
from pipeline.validation.stages import Gate, position_size
from pipeline.validation.wording import (
    FRACTIONS,
    MEANINGS,
    METRIC_ROWS,
    SYNTHETIC,
    VERDICTS,
    defined,
    marked,
    plain,
)


def show_candles(console: Console, market: MarketCandles) -> None:
    """Show the quality report, and whether the candles are synthetic."""
    if market.synthetic:
        console.print(SYNTHETIC)
    show_quality(console, market.quality)


def show_quality(console: Console, report: QualityReport) -> None:
    """Show the quality report of some candles."""
    console.table(
        f"Candles: {report.source}",
        ("quality", "value"),
        (
            ("first bar", utc(report.first_bar)),
            ("last bar", utc(report.last_bar)),
            ("rows", f"{report.rows:,}"),
            ("gaps, longest", f"{report.gaps}, {report.longest_gap_bars} bars"),
            ("filled", f"{report.filled:,} ({report.filled_share:.2%})"),
            ("duplicates, out of order", f"{report.duplicates}, {report.out_of_order}"),
            ("zero volume, flat", f"{report.zero_volume_share:.2%}, {report.flat_share:.2%}"),
            ("OHLC violations", report.ohlc_violations),
            ("largest jump across a gap", f"{report.largest_gap_jump:.2%}"),
            (
                "longest without a new price",
                _at(f"{report.longest_stale_hours:.3g} h", report.stale_since),
            ),
            ("outliers", report.outliers),
            (
                "furthest from the bars around",
                _at(f"{report.worst_deviation:.3g} daily deviations", report.worst_deviation_at),
            ),
            (
                "largest change of volume",
                _at(f"{report.largest_volume_change:.3g} times", report.volume_change_since),
            ),
            *_against_others(report),
        ),
    )


def _against_others(report: QualityReport) -> list[tuple[str, str]]:
    """Rows on the other exchanges of the store; none where it has none."""
    if report.median_disagreement is None or report.largest_disagreement is None:
        return []
    largest = _at(f"{report.largest_disagreement:.3%}", report.largest_disagreement_at)
    return [
        (f"closes against {report.compared_with}, median", f"{report.median_disagreement:.3%}"),
        ("the same, largest", largest),
    ]


def _at(figure: str, timestamp: int | None) -> str:
    """Add to a figure when it was."""
    return figure if timestamp is None else f"{figure}, {utc(timestamp)}"


def show_result(console: Console, trained: TrainingResult, configuration_id: str | None) -> None:
    """Show windows, evidence, gates and the verdict."""
    _show_windows(console, trained)
    _show_metrics(console, trained)
    _show_statistics(console, trained.statistics)
    _show_gates(console, trained.gates)
    if trained.parameters is None:
        console.print(
            f"No combination traded at least {trained.settings.min_trades} times in the last train"
            " days with a defined score: nothing to trade, nothing stored."
        )
        return
    console.print("Parameters: " + ", ".join(f"{k}={v}" for k, v in trained.parameters.items()))
    size = position_size(trained.stage, trained.gates, trained.market.synthetic)
    stage = marked(trained.stage, trained.market.synthetic)
    console.print(f"Stage: {stage} (size {size:g}): {VERDICTS[trained.stage]}.")
    console.print(f"Stored as {configuration_id} in {trained.config.storage.shown_url}")


def _show_windows(console: Console, trained: TrainingResult) -> None:
    rows = [
        (
            number,
            *_figures(window.in_sample),
            *_figures(window.out_of_sample),
        )
        for number, window in enumerate(trained.validation.windows, start=1)
    ]
    console.table(
        "Windows: in-sample (what the search promised), out-of-sample (what came)",
        ("window", "IS net", "IS Sharpe", "IS trades", "OOS net", "OOS Sharpe", "OOS trades"),
        rows,
    )


def _figures(metrics: Any) -> tuple[str, str, str]:
    if metrics is None:
        return "-", "-", "-"
    return (
        f"{metrics['net_profit']:+.2%}",
        f"{metrics['sharpe_ratio']:.2f}",
        f"{metrics['sample_size']}",
    )


def _show_metrics(console: Console, trained: TrainingResult) -> None:
    oos, own = trained.validation.metrics, trained.in_sample
    rows = [
        (label, "-" if own is None else defined(own[name], form), defined(oos[name], form))
        for label, name, form in METRIC_ROWS
    ]
    console.table(
        "Evidence: the stored configuration where it was found, the procedure out of sample",
        ("metric", "in-sample", "out-of-sample"),
        rows,
    )


def _show_statistics(console: Console, statistics: dict[str, Any]) -> None:
    rows = [
        (name, plain(name, statistics[name]), text)
        for name, text in MEANINGS.items()
        if name in statistics
    ]
    console.table("Statistics", ("statistic", "value", "meaning"), rows)


def _show_gates(console: Console, gates: list[Gate]) -> None:
    outcome = {True: "passed", False: "FAILED", None: "skipped (unknown)"}
    rows = [
        (
            gate.name,
            "-" if gate.value is None else plain(gate.name, gate.value),
            f"{gate.comparison} {gate.threshold:{'.0%' if gate.name in FRACTIONS else 'g'}}",
            f"to leave {gate.stage}" if gate.stage != "MATURE" else "for MATURE",
            "FAILED (not computed)"
            if gate.value is None and gate.passed is False
            else outcome[gate.passed],
        )
        for gate in gates
    ]
    console.table("Gates", ("figure", "value", "required", "why", "outcome"), rows)
