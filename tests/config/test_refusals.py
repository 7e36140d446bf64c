"""A bad configuration is refused with the key, what is allowed, what was given, what was meant."""

import pytest

BTC = "market=btc_binance_5m"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("costs.fee_rate=-1", "costs.fee_rate must be at least 0; given: -1."),
        ("costs.slippage=1", "costs.slippage must be below 1; given: 1."),
        ("costs.fee_rate=nan", "costs.fee_rate must be a finite number; given: NaN."),
        ("seed=abc", 'seed must be a whole number; given: "abc".'),
        ("seed=true", "seed must be a whole number; given: true."),
        ("seed=1.5", "seed must be a whole number; given: 1.5."),
        ("min_trades=-1", "min_trades must be at least 0; given: -1."),
        ("data.days=0", "data.days must be at least 1; given: 0."),
        ("data.annual_volatility=0", "data.annual_volatility must be above 0; given: 0."),
        ("risk.position_fraction=0", "risk.position_fraction must be above 0; given: 0."),
        ("risk.position_fraction=1.5", "risk.position_fraction must be at most 1; given: 1.5."),
        ("risk.max_daily_loss=-0.02", "risk.max_daily_loss must be above 0; given: -0.02."),
        ("risk.direction=down", 'risk.direction must be both, long or short; given: "down".'),
        ("validation.gap=-1", "validation.gap must be at least 0; given: -1."),
        ("validation.anchored=1", "validation.anchored must be true or false; given: 1."),
        ("backend.threads=0", "backend.threads must be at least 1; given: 0."),
        ("backend.devices=[]", "backend.devices must not be empty; given: []."),
        ("backend.devices=0", "backend.devices must be a list such as [1,2]; given: 0."),
        ("market.base=btc", 'market.base must be letters A-Z and digits; given: "btc".'),
        ("data.quality.filled_share=2", "data.quality.filled_share must be at most 1; given: 2."),
        ("data.plant=8", "data.plant must be a group of keys; given: 8."),
    ],
)
def test_an_impossible_value(refusal, override, sentence):
    assert refusal(override) == sentence


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("market=btc_binance_5n", "'btc_binance_5m'"),
        ("optimizer=gird", "'grid'"),
        ("optimzer=grid", "'optimizer'"),
        ("validation.trian=60", "'validation.train'"),
        ("train=60", "'validation.train'"),
        ("+validation.tests=60", "'validation.test'"),
        ("strategy.parameters.pierce_dept.grid=[1]", "'strategy.parameters.pierce_depth'"),
        ("objective=sharp_ratio", "'sharpe_ratio'"),
        ("space=continous", "'continuous'"),
        ("data.source=syntetic", "'synthetic'"),
        ("+data.plant.parameters.stop_distanse=1", "'stop_distance'"),
    ],
)
def test_a_near_miss_is_suggested(refusal, override, meant):
    assert refusal(override).endswith(f"Did you mean {meant}?")


def test_an_unknown_choice_names_the_choices(refusal):
    assert refusal("optimizer=annealing") == (
        "optimizer=annealing is not a choice: optimizer may be bayesian, grid, random."
    )


def test_an_unknown_key_names_the_keys(refusal):
    assert refusal("optimizer=random", "optimizer.colour=red") == (
        "optimizer.colour is not a key: optimizer has name, samples."
    )


def test_several_faults_are_listed_together(refusal):
    message = refusal("costs.fee_rate=-1", "validation.test=abc", "+data.colour=red")
    assert message.splitlines() == [
        "The configuration cannot be used:",
        "  - data.colour is not a key: data has source, days, seed, annual_volatility, plant,"
        " quality.",
        "  - costs.fee_rate must be at least 0; given: -1.",
        '  - validation.test must be a whole number; given: "abc".',
    ]


def test_a_key_that_must_be_given(refusal):
    assert refusal(BTC, "data=file") == (
        "data.path must be given, a Parquet, CSV or feather file: data.path=..."
    )


def test_a_value_where_a_group_is(refusal):
    assert "set one of them, strategy.parameters.pierce_depth.KEY=VALUE" in refusal(
        "strategy.parameters.pierce_depth=[0.001]"
    )


@pytest.mark.parametrize("override", ["seed", "data.days=[", "a b=3"])
def test_an_override_that_cannot_be_read(refusal, override):
    assert refusal(override).startswith(f"'{override}' cannot be read: write KEY=VALUE")


def test_several_values_without_multirun(refusal):
    assert refusal("seed=1,2").startswith("'seed=1,2' gives several values")


def test_a_choice_that_is_no_name(refusal):
    assert refusal("market=5").startswith("A choice must be a name")


def test_test_parts_must_not_overlap(refusal):
    assert refusal("validation.step=20") == (
        "validation.step must be at least validation.test (30): tests must not overlap; given: 20."
    )


@pytest.mark.parametrize(
    ("overrides", "has", "split"),
    [
        (["data.days=156"], "156", True),
        (["data.days=121"], "121", True),
        (["data.days=120"], "120", False),
        ([BTC, "data.since=2023-01-01", "data.until=2023-03-02"], "60", False),
    ],
)
def test_a_history_too_short_for_walk_forward(refusal, overrides, has, split):
    message = refusal(*overrides)
    assert "needs 157 days for two windows (train 90 + gap 7 + test 30 + step 30)" in message
    assert f"the history has {has}." in message
    assert ("use validation=train_test_split" in message) == split


def test_just_enough_history_for_walk_forward(train_config):
    assert train_config("data.days=157").data.days == 157


def test_a_history_too_short_to_split(refusal, train_config):
    split = "validation=train_test_split"
    assert "leaves 29 of 120 days to test on" in refusal(split, "data.days=120")
    assert train_config(split, "data.days=121").data.days == 121


def test_an_empty_stretch_of_history(refusal):
    sentence = "data.until must be after data.since (2023-02-01T00:00Z)"
    assert sentence in refusal(BTC, "data.since=2023-02-01", "data.until=2023-02-01")


@pytest.mark.parametrize("since", ["2023", "yesterday", "1672531200000"])
def test_a_moment_is_a_date(refusal, since):
    assert "data.since must be a UTC date such as 2023-01-31" in refusal(BTC, f"data.since={since}")


def test_contradictions(refusal):
    assert refusal("space=continuous").startswith("space=continuous has no grid to walk")
    assert refusal("optimizer=random", "selection=plateau").startswith("selection=plateau ranks")
    together = "do not belong together: generated candles are for market=demo and market=demo_null"
    for data in (["data=ccxt"], ["data=file", "data.path=x.csv"], [BTC, "data=planted"]):
        assert together in refusal(*data)


def test_a_plant_is_one_possible_combination(refusal):
    plant = "data.plant.parameters"
    assert refusal(f"{plant}.stop_distance=-1") == f"{plant}.stop_distance must be above 0, not -1."
    assert refusal(f"~{plant}.stop_distance").startswith(f"{plant}.stop_distance must be given")


def test_a_batch_larger_than_the_budget(refusal):
    assert "optimizer.batch must be at most optimizer.trials (10); given: 20" in refusal(
        "optimizer=bayesian", "optimizer.trials=10"
    )


def test_a_database_is_sqlite_or_postgresql_and_its_password_stays_secret(refusal):
    message = refusal("storage.url=postgres://me:secret@host/name")
    assert "postgresql://USER@HOST/NAME" in message
    assert "me:***@host" in message


def test_postgresql_without_an_address(refusal, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert refusal("storage=postgresql") == (
        "storage.url is taken from the environment variable DATABASE_URL, which is not set: set it,"
        " or give storage.url=... ."
    )


def test_postgresql_from_the_environment(train_config, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/training")
    assert train_config("storage=postgresql").storage.url == "postgresql://localhost/training"


@pytest.mark.parametrize(
    "override",
    [
        "seed=9223372036854775808",
        "risk.consecutive_losses_limit=10000000000000000000000",
        "strategy.parameters.key_level_lookback.grid=[1e30]",
        "strategy.parameters.rejection_candles.grid=[1000000000000]",
    ],
)
def test_numbers_no_machine_holds(refusal, override):
    assert override.partition("=")[0] in refusal(override)
    assert "must be at most" in refusal(override)


@pytest.mark.parametrize("border", ["since=1969-12-31", "until=9999-12-31T23:59:59"])
def test_dates_that_no_candle_has(refusal, border):
    assert "must be from the years 1970 to 2999; given:" in refusal(BTC, f"data.{border}")


def test_dates_outside_the_calendar(refusal):
    since = "data.since=0001-01-01T00:00:00+05:00"
    assert "data.since must be a UTC date" in refusal(BTC, since)
