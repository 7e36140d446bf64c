"""`scripts/train`, end to end: the demo year by the real command, then every method."""

import re

import numpy as np
import pytest
from scipy import stats

from gpu_engine import METRICS, Window, choose, marked_metrics
from pipeline.config import TrainConfig, load
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import single_point
from pipeline.strategies.registry import load_strategy
from pipeline.training.candles import load_candles
from pipeline.validation.stages import judge
from pipeline.validation.wording import percent, share
from support.agreement import assert_same_metrics
from support.parameters import DENSITY, DEPTH, LOOKBACK, REJECTION, SPREAD
from support.runs import QUICK, SMALL_GRID, SMALL_SIZE, ask, run, run_here

BARS_A_DAY = 24 * 12
KEYS = {
    "market",
    "strategy",
    "optimizer",
    "backend",
    "combinations_evaluated",
    "parameters",
    "in_sample",
    "out_of_sample",
    "windows",
    "lifecycle_stage",
    "gates",
    "statistics",
    "configuration_id",
    "job_id",
    "provenance",
    "timings",
}


def metrics_record(values):
    """Metrics of `result.json` as the engine's record; null is NaN."""
    record = np.zeros((), METRICS)
    for name in METRICS.names:
        record[name] = np.nan if values[name] is None else values[name]
    return record


def test_the_demo_year_ends_with_a_verdict(demo):
    assert demo.status == 0
    assert demo.out.startswith("SYNTHETIC candles: nothing below says anything about a market.\n")
    stage = demo.result["lifecycle_stage"]
    unknown = "not asked: other markets, fill rate, adverse selection"
    assert re.search(
        rf"\nStage: SYNTHETIC {stage} \(beats luck: .+; {unknown}\), size 0: ", demo.out
    )
    assert f"Stored as {demo.result['configuration_id']} in sqlite:///var/trainings.db" in demo.out
    backend = rf"backend: {demo.result['backend']} \(auto: .*\)\n"
    assert re.fullmatch(rf"{backend}edge: .* 4\.86 after costs\n(surrogates: .*\n)*", demo.err)


def test_the_planted_edge_is_found(demo):
    assert demo.result["lifecycle_stage"] == "MATURE"
    assert demo.result["statistics"]["reality_check_p"] < 0.05
    assert demo.result["parameters"][DEPTH] == 0.001
    assert demo.result["parameters"][LOOKBACK] == 100


def test_result_json_holds_what_was_promised(demo):
    result = demo.result
    assert result.keys() >= KEYS
    assert result["market"] == "synthetic:DEMO/USDT:5m"
    assert (result["strategy"], result["optimizer"]) == ("LIQUIDITY_SWEEP_V3", "grid")
    assert (result["selection"], result["objective"]) == ("plateau", "net_profit")
    assert result["timings"].keys() == {
        "candles",
        "tables",
        "look_ahead",
        "search",
        "reference",
        "surface",
        "luck",
    }
    assert all(seconds >= 0 for seconds in result["timings"].values())


def test_a_year_gives_eight_windows(demo):
    windows = demo.result["windows"]
    assert {window["train"][0] for window in windows} == {"2023-01-01"}
    for number, window in enumerate(windows):
        days = np.array([*window["train"], *window["test"]], "datetime64[D]").astype(int)
        assert (np.diff(days) == [89 + 30 * number, 8, 29]).all()  # 90 days or more, 7, 30
    tests = np.array([window["test"] for window in windows], "datetime64[D]").astype(int)
    assert (tests[1:, 0] == tests[:-1, 1] + 1).all()
    assert len(windows) == 8
    assert demo.result["out_of_sample"]["n_days"] == 240
    assert demo.result["in_sample"]["n_days"] == 365


def test_every_evaluation_is_counted(demo):
    windows = demo.result["windows"]
    assert all(window["combinations_evaluated"] == SMALL_SIZE for window in windows)
    winners = sum(window["out_of_sample"] is not None for window in windows)
    assert demo.result["combinations_evaluated"] == 9 * SMALL_SIZE + winners
    assert all(0 < window["admissible"] <= SMALL_SIZE for window in windows)


def test_the_stage_is_what_the_figures_say(demo):
    figures = demo.result["out_of_sample"] | demo.result["statistics"]
    stage, gates = judge(figures)
    assert demo.result["lifecycle_stage"] == stage
    assert demo.result["gates"] == [gate.to_dict() for gate in gates]


@pytest.fixture(scope="module")
def reference(demo):
    """Metrics of any parameters on some days of the demo year, by the reference path."""
    config = load(["market=demo"], TrainConfig, "train")
    strategy, backend = load_strategy("liquidity_sweep"), choose("reference").backend
    market = load_candles(config.market, config.data, strategy, choose().backend, lambda n: None)
    assert market.candles.sha256 == demo.result["provenance"]["data_hash"]

    def metrics(parameters, first_day, n_days, marked=False):
        space = single_point(strategy, parameters)
        evaluator = Evaluator(
            market.candles, space, config.costs.record(), config.risk.limits(), backend
        )
        window = Window(BARS_A_DAY * first_day, BARS_A_DAY * (first_day + n_days))
        if marked:
            point = space.point(parameters)
            trades = evaluator.trades(point, window)
            returns = config.risk.position_fraction * trades["ret"]
            return marked_metrics(returns, evaluator.marked_returns(trades, window))
        return evaluator.points(space.point(parameters)[None], (window,))[0, 0]

    return metrics


def test_in_sample_is_the_stored_configuration_on_all_days(demo, reference):
    expected = reference(demo.result["parameters"], 0, 365, marked=True)
    assert_same_metrics(metrics_record(demo.result["in_sample"]), expected)


def test_each_window_holds_its_winner_on_both_parts(demo, reference):
    for number, window in enumerate(demo.result["windows"]):
        seen = 90 + 30 * number
        for name, first_day, n_days in (("in_sample", 0, seen), ("out_of_sample", seen + 7, 30)):
            expected = reference(window["parameters"], first_day, n_days)
            assert_same_metrics(metrics_record(window[name]), expected)
        assert window["score"] == pytest.approx(window["in_sample"]["net_profit"], rel=1e-11)


def test_statistics_are_of_the_figures_stored(demo):
    found, windows = demo.result["statistics"], demo.result["windows"]
    assert found["p_value"] == pytest.approx(stats.norm.sf(found["z_score"]), rel=1e-9)
    promises = [window["in_sample"]["net_profit"] for window in windows]
    yearly = np.mean([(1 + net) ** (365 / (90 + 30 * k)) - 1 for k, net in enumerate(promises)])
    came = (1 + demo.result["out_of_sample"]["net_profit"]) ** (365 / 240) - 1
    assert found["walk_forward_efficiency"] == pytest.approx(came / yearly, rel=1e-9)


def test_the_result_is_broken_down_and_set_beside_the_market(demo):
    found, whole = demo.result["statistics"], demo.result["out_of_sample"]
    excess = whole["net_profit"] - found["hold"]["net_profit"]
    assert found["excess_net_profit"] == pytest.approx(excess)
    trades = whole["sample_size"]
    assert sum(side["trades"] for side in found["sides"].values()) == trades
    assert sum(year["trades"] for year in found["years"]) == trades
    assert found["costs"]["gross_net_profit"] > whole["net_profit"]
    winners = [window["parameters"][DEPTH] for window in demo.result["windows"]]
    choice = found["parameter_choices"][DEPTH]
    assert choice["chosen_in"] == winners.count(demo.result["parameters"][DEPTH])
    low, high = (found["sharpe_interval"][end] for end in ("low", "high"))
    assert low < whole["sharpe_ratio"] < high


def test_the_screen_shows_dates_holding_years_and_parameters(demo):
    lines = [re.findall(r"[^│┃\s][^│┃]*[^│┃\s]|[^│┃\s]", line) for line in demo.out.splitlines()]
    result, oos = demo.result, demo.result["out_of_sample"]
    known = result["statistics"]
    for number, window in enumerate(result["windows"], start=1):
        assert [str(number), " ".join(window["train"]), " ".join(window["test"])] in [
            line[:3] for line in lines
        ]
    low, high = (f"{known['sharpe_interval'][end]:.2f}" for end in ("low", "high"))
    assert ["its 95 % interval", f"{low} to {high}"] in lines
    profits = (oos, known["closed"], known["hold"], result["in_sample"])
    assert ["net profit", *(percent(part["net_profit"]) for part in profits)] in lines
    (year,) = known["years"]
    assert [str(year["year"]), "240", str(oos["sample_size"])] in [line[:3] for line in lines]
    assert ["fees paid", share(known["costs"]["fees"])] in lines
    for name, choice in known["parameter_choices"].items():
        assert [name, f"{choice['chosen_in']} of 8"] in [[*line[:1], *line[2:3]] for line in lines]


def test_the_first_search_of_a_database_has_none_before_it(demo):
    found = demo.result["statistics"]
    assert found["earlier_searches"] == {"count": 0, "p_after": pytest.approx(found["p_value"])}


def test_parameter_spread_is_over_the_windows(demo):
    values = [window["parameters"][DEPTH] for window in demo.result["windows"]]
    expected = {"min": min(values), "median": np.median(values), "max": max(values)}
    assert demo.result["parameter_spread"][DEPTH] == expected


@pytest.mark.parametrize(
    ("arguments", "method", "each"),
    [
        (("optimizer=grid", *SMALL_GRID), "grid", SMALL_SIZE),
        (("optimizer=random", "optimizer.samples=30"), "random", 30),
        (("optimizer=random", "optimizer.samples=99", *SMALL_GRID), "grid", SMALL_SIZE),
        (("optimizer=bayesian", "optimizer.trials=25", "optimizer.batch=10"), "bayesian", 25),
        (("optimizer=random", "optimizer.samples=20", "space=continuous"), "random", 20),
        (("optimizer=bayesian", "optimizer.trials=20", "space=continuous"), "bayesian", 20),
    ],
)
def test_every_method_walks_forward(here, arguments, method, each):
    finished = here(*QUICK, *arguments)
    result = finished.result
    assert finished.status == 0
    assert result["method"] == method
    assert len(result["windows"]) == 3
    winners = sum(window["out_of_sample"] is not None for window in result["windows"])
    assert result["combinations_evaluated"] == 4 * each + winners
    assert finished.configurations[0].parameters == result["parameters"]


def test_a_budget_that_covers_the_grid_says_so(here):
    finished = here(*QUICK, "optimizer=random", "optimizer.samples=99", *SMALL_GRID)
    sentence = "optimizer=random: a budget of 99 covers all 72 combinations, so the whole grid is"
    assert sentence in finished.err


def test_a_continuous_space_leaves_the_grid_but_not_the_ranges(here):
    result = here(*QUICK, "optimizer=random", "optimizer.samples=20", "space=continuous").result
    found = result["parameters"]
    assert 0.0005 <= found[DEPTH] <= 0.005
    assert found[DEPTH] not in (0.0005, 0.001, 0.002, 0.003, 0.004, 0.005)
    assert found[REJECTION] in range(1, 6)
    assert found[DENSITY] == 0.5
    assert found[SPREAD] is None
    assert result["statistics"]["stability_score"] is None


def test_train_test_split_has_one_window_and_stores_its_winner(here):
    result = here(*QUICK, "validation=train_test_split", *SMALL_GRID).result
    (window,) = result["windows"]
    assert window["train"] == ["2023-01-01", "2023-05-20"]  # 140 of 200 days
    assert window["test"] == ["2023-05-28", "2023-07-19"]  # after a gap of 7, to the end
    assert result["parameters"] == window["parameters"]
    # The window's is by closed trades, as its search saw it.
    assert result["in_sample"]["sharpe_ratio"] != window["in_sample"]["sharpe_ratio"]
    for name in ("net_profit", "sample_size", "win_rate", "avg_win", "avg_loss", "n_days"):
        assert result["in_sample"][name] == pytest.approx(window["in_sample"][name], rel=1e-9)
    assert result["out_of_sample"]["n_days"] == 53


def test_nothing_admissible_completes_without_a_configuration(here):
    finished = here(*QUICK, "min_trades=5000", *SMALL_GRID)
    assert finished.status == 0
    assert "at least 5000 times" in finished.out
    assert finished.result["configuration_id"] is finished.result["parameters"] is None
    assert finished.result["lifecycle_stage"] == "PAPER"
    assert finished.result["out_of_sample"]["net_profit"] == 0.0
    assert finished.result["combinations_evaluated"] == 4 * SMALL_SIZE
    assert [job.status for job in finished.jobs] == ["completed"]
    assert finished.configurations == finished.artifacts == []


@pytest.mark.slow
def test_several_markets_in_one_command(tmp_path):
    one, two = "market=demo,demo_null", "seed=3"
    finished = run(tmp_path, "-m", one, two, *QUICK[1:], "data=synthetic", *SMALL_GRID)
    assert finished.status == 0
    markets = {job.market for job in finished.jobs}
    assert markets == {"synthetic:DEMO/USDT:1h", "synthetic:NOEDGE/USDT:1h"}
    assert len(list(tmp_path.glob("var/multirun/*/*/*/result.json"))) == 2


def test_runs_gather_in_one_database(tmp_path):
    first, second = (run_here(tmp_path, *QUICK, f"seed={n}", *SMALL_GRID) for n in (1, 2))
    assert first.status == second.status == 0
    assert sorted(job.seed for job in ask(tmp_path, lambda r: r.jobs.find("completed"))) == [1, 2]
