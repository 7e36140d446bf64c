"""scripts/conform: golden files replayed; whatever disagrees is named."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from pipeline.studies.conform import main
from support.parameters import SPREAD

FOLDER = Path(__file__).resolve().parents[1] / "gpu_engine/golden"
GOLDEN = FOLDER / "liquidity_sweep_synthetic_ticks.json"
#: Cases of every strategy, each with an exit setting of its own.
EXITS = FOLDER / "synthetic_ticks.json"
SHARED = Path(__file__).resolve().parents[2] / "../shared"


@pytest.fixture
def golden():
    """The golden file with its first three cases, to be changed at will."""
    content = json.loads(GOLDEN.read_text())
    return content | {"cases": content["cases"][:3]}


@pytest.fixture
def conform(tmp_path, capsys):
    """Replay a golden file; exit status, lines of output, and what is said about mistakes."""

    def replay(content, *arguments):
        path = tmp_path / "golden.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        status = main([str(path), *arguments])
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err

    return replay


def test_the_golden_files_of_the_project_agree_on_every_backend(capsys):
    assert main([str(GOLDEN), str(EXITS)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "liquidity_sweep_synthetic_ticks.json",
        "  reference: 48 of 48 cases agree",
        "  numpy: 48 of 48 cases agree",
        "  numba: 48 of 48 cases agree",
        "synthetic_ticks.json",
        "  reference: 88 of 88 cases agree",
        "  numpy: 88 of 88 cases agree",
        "  numba: 88 of 88 cases agree",
    ]


def test_cases_of_strategies_that_the_program_lacks_are_not_called_agreed(golden, conform):
    for case, strategy in zip(golden["cases"], ("wave_v1", "tide_v2"), strict=False):
        case["strategy"] = strategy
    status, lines, _ = conform(golden, "--backend", "numpy")
    assert status == 1
    assert lines[1:] == [
        "  2 of 3 cases are not replayed, because this program does not have their strategy:"
        " tide_v2, wave_v1",
        "  numpy: 1 of 1 cases agree",
    ]


@pytest.fixture
def exits():
    """The golden file of every strategy and every exit."""
    return json.loads(EXITS.read_text())


def of_strategy(content, name):
    return content | {"cases": [c for c in content["cases"] if c["strategy"] == name]}


def test_a_strategy_is_found_by_its_page_or_its_word(exits, conform):
    some = of_strategy(exits, "supply_shock_v3")
    for case, name in zip(some["cases"], ("supply_shock", "SUPPLY_SHOCK_V3"), strict=False):
        case["strategy"] = name
    status, lines, _ = conform(some, "--backend", "numpy")
    count = len(some["cases"])
    assert (status, lines[1:]) == (0, [f"  numpy: {count} of {count} cases agree"])


def test_what_candles_cannot_give_may_be_null(exits, conform):
    some = of_strategy(exits, "supply_shock_v3")
    some["cases"][0]["parameters"]["news_sentiment_score"] = None
    assert conform(some, "--backend", "numpy")[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda case: case["costs"].update(fee=case["costs"]["fee"] + 1e-6),
        lambda case: case.update(funding=not case["funding"]),
        lambda case: case["exit"].update(holding_bars=1),
    ],
)
def test_a_changed_term_of_an_exit_is_noticed(exits, conform, change):
    case = next(c for c in exits["cases"] if c["funding"] and len(c["trades"]) > 3)
    change(case)
    assert conform(exits | {"cases": [case]}, "--backend", "numpy")[0] == 1


def test_one_changed_metric_is_named(golden, conform):
    expected = golden["cases"][1]["metrics"]["net_profit"] + 1e-8
    golden["cases"][1]["metrics"]["net_profit"] = expected
    got = expected - 1e-8
    status, lines, _ = conform(golden, "--backend", "numpy")
    assert status == 1
    assert len(lines) == 3
    assert lines[1].startswith(f"  numpy cases[1] metrics.net_profit: expected {expected}, got ")
    assert float(lines[1].rpartition(" ")[2]) == pytest.approx(got, abs=1e-12)
    assert lines[2] == "  numpy: 2 of 3 cases agree"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("side", lambda v: -v),
        ("setup_bar", lambda v: v + 1),
        ("signal_bar", lambda v: v + 1),
        ("entry_bar", lambda v: v + 1),
        ("exit_bar", lambda v: v - 1),
        ("entry", lambda v: v * (1 + 1e-11)),
        ("exit", lambda v: v * (1 + 1e-11)),
        ("reason", lambda v: "time" if v != "time" else "stop"),
        ("ret", lambda v: v + 1e-11),
    ],
)
def test_one_changed_figure_of_a_trade_is_named(golden, conform, field, change):
    row = golden["cases"][2]["trades"][4]
    former = {"setup_bar": "sweep_bar"}  # the file's older form
    column = golden["trade_fields"].index(former.get(field, field))
    row[column] = change(row[column])
    status, lines, _ = conform(golden, "--backend", "numba")
    assert status == 1
    assert lines[1].startswith(f"  numba cases[2] trades[4].{field}: expected {row[column]}, got ")
    assert lines[2] == "  numba: 2 of 3 cases agree"


def test_tolerances_of_the_golden_files(golden, conform):
    for row in golden["cases"][0]["trades"]:
        row[5], row[6], row[8] = row[5] * (1 + 5e-13), row[6] * (1 - 5e-13), row[8] + 5e-13
    metrics = golden["cases"][0]["metrics"]
    metrics["net_profit"] += 5e-10
    metrics["sharpe_ratio"] *= 1 + 5e-10
    assert conform(golden)[0] == 0


def test_a_missing_trade_is_counted_and_the_first_difference_shown(golden, conform):
    del golden["cases"][0]["trades"][3]
    trades = len(golden["cases"][0]["trades"])
    status, lines, _ = conform(golden, "--backend", "numpy")
    assert status == 1
    expected = f"  numpy cases[0] number of trades: expected {trades}, got {trades + 1}"
    assert lines[1] == expected
    assert all(line.startswith("  numpy cases[0] trades[3].") for line in lines[2:-1])
    assert lines[-1] == "  numpy: 2 of 3 cases agree"


def test_a_null_metric_is_undefined_and_nothing_else(golden, conform):
    undefined = [
        c for c in json.loads(GOLDEN.read_text())["cases"] if None in c["metrics"].values()
    ]
    assert conform({**golden, "cases": undefined[:1]})[0] == 0
    golden["cases"][0]["metrics"]["profit_factor"] = None
    status, lines, _ = conform(golden, "--backend", "numpy")
    assert status == 1
    assert "metrics.profit_factor: expected nan" in lines[1]


def test_the_spread_filter_may_be_off_or_absent(golden, conform):
    golden["cases"][0]["parameters"].pop(SPREAD, None)
    golden["cases"][1]["parameters"][SPREAD] = None
    assert conform(golden)[0] == 0


def test_a_spread_filter_that_passes_everything_changes_nothing(golden, conform):
    """The spread is known after a day of bars: these cases trade later only."""
    every = json.loads(GOLDEN.read_text())["cases"]
    golden["cases"] = [c for c in every if c["trades"] and c["trades"][0][1] > 288][:2]
    for case in golden["cases"]:
        case["parameters"][SPREAD] = 1e9
    status, lines, _ = conform(golden, "--backend", "numpy")
    assert (status, lines[1:]) == (0, ["  numpy: 2 of 2 cases agree"])


def test_a_spread_filter_that_passes_nothing_leaves_no_trade(golden, conform):
    golden["cases"] = golden["cases"][:1]
    golden["cases"][0]["parameters"][SPREAD] = -1.0
    golden["cases"][0]["trades"] = []
    golden["cases"][0]["metrics"] = {"sample_size": 0, "net_profit": 0.0}
    assert conform(golden)[0] == 0


@pytest.mark.parametrize("name", ["bars", "first_timestamp", "filled_bars"])
def test_other_candles_are_not_replayed(golden, conform, name):
    golden[name] += 300_000
    status, lines, _ = conform(golden)
    assert status == 1
    assert lines[1] == f"  candles {name}: expected {golden[name]}, got {golden[name] - 300_000}"
    assert lines[2:] == ["  no case was replayed: its bars would be others"]


def with_data_file(golden, folder, name):
    """The same golden file with its candles in a Parquet file beside it."""
    table = pa.table({k: pa.array(v) for k, v in golden["candles"].items()})
    pyarrow.parquet.write_table(table, folder / name)
    rest = {k: v for k, v in golden.items() if k not in ("candles", "timeframe")}
    return rest | {"data": name}


@pytest.mark.parametrize("name", ["market_5m_2023.parquet", "market.parquet"])
def test_candles_come_from_the_data_folder(golden, conform, tmp_path, name):
    content = with_data_file(golden, tmp_path, name)
    status, lines, _ = conform(content, "--data", str(tmp_path), "--backend", "numpy")
    assert (status, lines[1:]) == (0, ["  numpy: 3 of 3 cases agree"])


def test_another_data_file_is_told_by_its_hash(golden, conform, tmp_path):
    content = with_data_file(golden, tmp_path, "market.parquet") | {"sha256": "0" * 64}
    status, lines, _ = conform(content, "--data", str(tmp_path), "--backend", "numpy")
    assert status == 1
    assert lines[1].startswith(f"  candles sha256: expected {'0' * 64}, got ")
    assert lines[2] == "  numpy: 3 of 3 cases agree"


def spoilt(golden, **changes):
    return {k: v for k, v in {**golden, **changes}.items() if v is not ...}


def with_exit(case, setting):
    """A case whose exit is ``setting`` alone."""
    names = case["parameters"].keys() - {"stop_distance", "target_multiple"}
    return case | {"parameters": {n: case["parameters"][n] for n in names}, "exit": setting}


MISTAKES = {
    "not JSON": (lambda g: "{", "is not a golden file"),
    "no cases": (lambda g: spoilt(g, cases=...), "cases: Field required"),
    "no candles": (lambda g: spoilt(g, candles=...), "either data or candles must be given"),
    "no data folder": (
        lambda g: spoilt(g, candles=..., data="x_5m.parquet"),
        "needs the candles of x_5m.parquet: give --data FOLDER",
    ),
    "column missing": (
        lambda g: spoilt(g, candles={k: v for k, v in g["candles"].items() if k != "low"}),
        "candles must hold timestamp, open, high, low, close, volume",
    ),
    "other timeframe": (lambda g: spoilt(g, timeframe="1h"), "looks like 5m candles"),
    "unknown parameter": (
        lambda g: spoilt(g, cases=[{**g["cases"][0], "parameters": {"pierce_dept": 1}}]),
        "Did you mean 'pierce_depth'?",
    ),
    "missing parameter": (
        lambda g: spoilt(g, cases=[{**g["cases"][0], "parameters": {}}]),
        "cases[0]: parameter 'pierce_depth' must be given",
    ),
    "unknown metric": (
        lambda g: spoilt(g, cases=[{**g["cases"][0], "metrics": {"profit": 1}}]),
        "'profit' is no metric",
    ),
    "unknown reason": (
        lambda g: spoilt(g, cases=[{**g["cases"][0], "trades": [[1, 2, 3, 4, 5, 6, 7, "?", 8]]}]),
        "cases[0] has a trade that cannot be read",
    ),
    "unknown part of an exit": (
        lambda g: spoilt(g, cases=[{**g["cases"][0], "exit": {"stop_distence": 1}}]),
        "Did you mean 'stop_distance'?",
    ),
    "two stops": (
        lambda g: spoilt(
            g, cases=[with_exit(g["cases"][0], {"stop_distance": 1, "stop_fraction": 0.1})]
        ),
        "at most one of stop_distance, stop_fraction",
    ),
    "funding without a series": (
        lambda g: spoilt(g, cases=[{**g["cases"][0], "funding": True}]),
        "cases[0] has funding, and the file has no series of it",
    ),
    "window outside": (
        lambda g: spoilt(g, cases=[{**g["cases"][0], "end_bar": 6001}]),
        "must lie inside the 6000 bars",
    ),
}


@pytest.mark.parametrize(("make", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_a_sentence(golden, conform, make, said):
    status, _, sentence = conform(make(golden), "--backend", "numpy")
    assert status == 2
    assert said in sentence
    assert len(sentence.splitlines()) == 1


def test_a_file_that_does_not_exist(capsys, tmp_path):
    assert main([str(tmp_path / "none.json")]) == 2
    assert "none.json cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"), [("nunba", "Did you mean 'numba'?"), ("turbo", "must be one of auto")]
)
def test_an_unknown_backend(golden, conform, name, said):
    status, lines, sentence = conform(golden, "--backend", name)
    assert (status, lines) == (2, [])
    assert said in sentence


@pytest.mark.slow
def test_every_shared_golden_file_agrees(capsys):
    if not (SHARED / "spec/golden").is_dir() or not (SHARED / "data").is_dir():
        pytest.skip("the shared golden files and candles are not on this machine")
    files = sorted(map(str, (SHARED / "spec/golden/v2").glob("*.json")))
    assert main([*files, "--data", str(SHARED / "data")]) == 0
    assert len(files) >= 11
