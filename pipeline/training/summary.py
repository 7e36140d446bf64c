"""Print the end of a run: the quality of the candles, the evidence, the verdict."""

from typing import Any

from pipeline.cli.console import Console
from pipeline.market_data.quality.report import as_table
from pipeline.market_data.sources import MarketCandles
from pipeline.results.jsonable import jsonable
from pipeline.training.record import metrics_dict, window_records
from pipeline.training.run import TrainingResult
from pipeline.validation import wording
from pipeline.validation.record_tables import record_tables, statistic_rows
from pipeline.validation.remarks import Record, warnings
from pipeline.validation.stages import Gate, position_size

#: Of a gate, by whether it passed and whether its figure is known.
_OUTCOMES = {
    (True, True): "passed",
    (False, True): "FAILED",
    (False, False): "FAILED (not computed)",
    (None, False): "skipped (unknown)",
    (None, True): "skipped (not asked)",
}


def show_candles(console: Console, market: MarketCandles) -> None:
    """Show the quality report, and whether the candles are synthetic."""
    if market.synthetic:
        console.print(wording.SYNTHETIC)
    console.table(*as_table(market.quality))


def show_result(console: Console, trained: TrainingResult, configuration_id: str | None) -> None:
    """Show windows, evidence, gates and the verdict; of a run that found nothing, that alone."""
    least, windows = trained.settings.min_trades, trained.validation.windows
    idle = all(window.search.point is None for window in windows)
    if idle:
        console.print(
            f"In none of {wording.plural(len(windows), 'window')} did a combination trade at least"
            f" {least} times (min_trades) with a defined score, so no test has a trade."
        )
    else:
        _show_windows(console, trained)
    if idle and trained.parameters is None:
        console.print(
            "Nor did one in the last train days: nothing to trade, nothing stored. Take a finer"
            " market.timeframe, longer windows (validation.train, validation.test), a smaller"
            " min_trades or another strategy."
        )
        return
    in_sample = metrics_dict(trained.in_sample)
    out_of_sample = metrics_dict(trained.validation.metrics) or {}
    statistics = jsonable(trained.statistics)
    for table in record_tables(in_sample, out_of_sample, statistics, trained.parameters):
        console.table(*table)
    rows = statistic_rows(statistics, out_of_sample)
    console.table("Statistics", ("statistic", "value", "meaning"), rows)
    _show_gates(console, trained.gates)
    if trained.parameters is None:
        console.print(
            f"No combination traded at least {least} times (min_trades) in"
            " the last train days with a defined score: nothing to trade, nothing stored."
        )
        return
    synthetic, stage = trained.market.synthetic, trained.stage
    pair = trained.config.market.pair
    record = Record(trained.parameters, in_sample or {}, out_of_sample, statistics, pair, synthetic)
    console.print(
        "scripts/backtest shows other figures of these parameters: of all days, also those that the"
        " search saw, by closed trades (docs/training.md, 5. Verdict)."
    )
    for warning in warnings(record):
        console.print(f"Beware: {warning}")
    size = position_size(stage, trained.gates, synthetic)
    shown = wording.badge(stage, trained.gates, synthetic)
    beside = wording.beside_holding(out_of_sample, statistics)
    said = f"{wording.verdict(stage, trained.gates)}. {beside}".strip()
    console.print(f"Stage: {shown}, size {size:g}: {said}")
    console.print(f"Stored as {configuration_id} in {trained.config.storage.shown_url}")


def _show_windows(console: Console, trained: TrainingResult) -> None:
    rows = [
        (
            number,
            *(" ".join(window[part]) for part in ("train", "test")),
            *_figures(window["in_sample"]),
            *_figures(window["out_of_sample"]),
        )
        for number, window in enumerate(window_records(trained), start=1)
    ]
    figures = ("IS net", "Sharpe", "trades", "OOS net", "Sharpe", "trades")
    console.table(
        "Windows: in-sample (IS, what the search promised), out-of-sample (OOS, what came)",
        ("", "trained on", "tested on", *figures),
        rows,
    )


def _figures(metrics: Any) -> tuple[str, str, str]:
    if metrics is None:
        return "-", "-", "-"
    return (
        wording.percent(metrics["net_profit"]),
        f"{metrics['sharpe_ratio']:.2f}",
        f"{metrics['sample_size']}",
    )


def _show_gates(console: Console, gates: list[Gate]) -> None:
    rows = [
        (
            gate.name,
            "-" if gate.value is None else wording.plain(gate.name, gate.value),
            f"{gate.comparison} {wording.FRACTIONS.get(gate.name, '{:g}'.format)(gate.threshold)}",
            f"to leave {gate.stage}" if gate.stage != "MATURE" else "for MATURE",
            _OUTCOMES[gate.passed, gate.value is not None],
        )
        for gate in gates
    ]
    console.table("Gates", ("figure", "value", "required", "why", "outcome"), rows)
