"""What cannot be asked, and the sentence that says so."""

import json

import pytest
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from pipeline.web.api.app import create_app
from support.parameters import DEPTH, SIZE, STOP, VOLUME
from support.serving import service_over

HERE = "http://127.0.0.1:8080"
START = "/api/training/start"
ID = "LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3"

TRAVERSAL = [
    "../../etc/passwd",
    "..\\..\\x",
    "/etc/passwd",
    "%2e%2e%2f",
    "a\x00b",
    "${oc.env:PATH}",
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One client for all: what is refused leaves nothing behind."""
    with (
        service_over(tmp_path_factory.mktemp("refused")) as service,
        TestClient(create_app(service, starts_a_minute=10_000), base_url=HERE) as client,
    ):
        yield client


def detail(answer, status=422):
    assert answer.status_code == status, answer.text
    return answer.json()["detail"]


def start(client, **body):
    return detail(client.post(START, json=body))


def test_an_unknown_market_is_answered_with_those_that_are(client):
    said = start(client, markets=["dmo"])
    assert "dmo is no market; allowed are btc_binance_15m" in said
    assert "Did you mean 'demo'?" in said


def test_an_unknown_strategy_is_answered_with_those_that_are(client):
    assert "allowed are liquidity_sweep" in start(client, strategy="momentum", markets=["demo"])


def test_an_unknown_combination_is_answered_with_the_markets_of_the_exchange(client):
    said = start(client, pairs=["DEMO/USDT"], exchanges=["kraken"], timeframes=["5m"])
    assert "no market kraken:DEMO/USDT:5m; those of kraken are btc_kraken_15m" in said


def test_an_unknown_parameter_is_answered_with_those_that_are(client):
    said = start(client, markets=["demo"], parameters={"leverage": [1, 2]})
    assert "strategy.parameters has pierce_depth" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "give markets, or at least one of each"),
        ({"markets": []}, "give markets, or at least one of each"),
        ({"markets": ["demo"], "pairs": ["BTC/USDT"]}, "not both"),
        ({"markets": ["demo"] * 65}, "at most 64 items"),
        ({"markets": ["demo"], "seed": -1}, "greater than or equal to 0"),
        ({"markets": ["demo"], "seed": 2**63}, "less than or equal to 9223372036854775807"),
        ({"markets": ["demo"], "seed": 1.5}, "valid integer"),
        ({"markets": ["demo"], "seed": True}, "valid integer"),
        ({"markets": ["demo"], "colour": "red"}, "body.colour: there is no such key; allowed are"),
        ({"markets": ["demo"], "optimzer": {}}, "Did you mean 'optimizer'?"),
        ({"markets": ["demo"], "objective": "sharp_ratio"}, "Did you mean 'sharpe_ratio'?"),
        ({"markets": ["a b"]}, "it must be EXCHANGE:SYMBOL:TIMEFRAME such as okx:DOGE/USDT:30m"),
        ({"markets": ["demo"], "optimizer": {"samples": 5}}, "allowed are grid, random, bayesian"),
        (
            {"markets": ["demo"], "optimizer": {"method": "random", "trials": 5}},
            "body.optimizer.random.trials: there is no such key; allowed are method, samples.",
        ),
        (
            {"markets": ["demo"], "optimizer": {"method": "random", "samples": 10_000_001}},
            "less than or equal to 10000000",
        ),
        (
            {"markets": ["demo"], "optimizer": {"method": "annealing"}},
            "allowed are grid, random, bayesian",
        ),
        (
            {"markets": ["demo"], "validation": {"method": "walk_forward", "train": 3651}},
            "less than or equal to 3650",
        ),
        (
            {"markets": ["demo"], "validation": {"method": "walk_forward", "train": 400}},
            "validation needs 467 days for two windows",
        ),
        (
            {"markets": ["demo"], "validation": {"method": "walk_forward", "max_train": 89}},
            "validation.max_train must be at least validation.train (90)",
        ),
        (
            {"markets": ["demo"], "validation": {"method": "rolling", "max_train": 720}},
            "allowed are evidence, train, gap, test, step, method",
        ),
        (
            {"markets": ["demo"], "validation": {"method": "walk_forward", "anchored": True}},
            "Write validation.max_train=null in place of validation.anchored=true",
        ),
        (
            {"markets": ["btc_binance_1h"], "history": {"days": 30, "since": "2024-01-01"}},
            "not both",
        ),
        (
            {
                "markets": ["btc_binance_1h"],
                "history": {"since": "2024-01-02", "until": "2024-01-01"},
            },
            "until must be after since",
        ),
        ({"markets": ["demo"], "history": {"since": "2024-01-01"}}, "candles are invented"),
        ({"markets": ["demo"], "costs": {"fee_rate": 1}}, "less than 1"),
        ({"markets": ["demo"], "costs": {"fee": 0.1}}, "allowed are fee_rate, maker_fee, slippage"),
        ({"markets": ["demo"], "risk": {"position_fraction": 0}}, "greater than 0"),
        ({"markets": ["demo"], "risk": {"leverage": 3}}, "is a spot market"),
        ({"markets": ["demo"], "parameters": {DEPTH: []}}, "at least 1 item"),
        ({"markets": ["demo"], "parameters": {DEPTH: [2]}}, "must be at most 1"),
    ],
)
def test_what_is_out_of_bounds_is_refused(client, body, said):
    assert said in start(client, **body)


def test_a_grid_over_the_budget_is_refused(client):
    names = (DEPTH, VOLUME, SIZE, STOP)
    grids = {name: [0.01 * i for i in range(1, 61)] for name in names}
    said = start(client, markets=["demo"], parameters=grids)
    assert "at most 10,000,000 are searched whole" in said


@pytest.mark.parametrize("text", TRAVERSAL)
@pytest.mark.parametrize("field", ["strategy", "markets", "pairs", "exchanges", "timeframes"])
def test_no_text_of_a_start_is_a_path(client, field, text):
    body = {"markets": ["demo"]} if field == "strategy" else {}
    body |= {field: text if field == "strategy" else [text]}
    assert "Traceback" not in start(client, **body)


@pytest.mark.parametrize("text", TRAVERSAL)
@pytest.mark.parametrize("field", ["exchange", "pair", "timeframe", "strategy", "stage", "sort"])
def test_no_filter_is_a_path(client, field, text):
    detail(client.get("/api/configurations", params={field: text}))


@pytest.mark.parametrize("text", ["..%2F..%2Fetc%2Fpasswd", "0" * 31, "G" * 32, "0" * 33, "%00"])
def test_an_id_of_another_shape_is_not_found(client, text):
    for path, said in (
        ("training/jobs", "32 hexadecimal digits"),
        ("sweeps", "32 hexadecimal digits"),
        ("configurations", "PATTERN_DATE_TIME_HEX"),
        ("signals", "PATTERN_DATE_TIME_HEX"),
    ):
        answer = client.get(f"/api/{path}/{text}")
        if "%2F" not in text:  # which is another address
            assert said in detail(answer, 404)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/candles?limt=3", "query.limt: there is no such key; allowed are exchange"),
        ("/api/training/jobs?limt=3", "Did you mean 'limit'?"),
        ("/api/configurations?stag=PAPER", "Did you mean 'stage'?"),
        (
            f"/api/configurations/{ID}/trades?form=csv",
            "allowed are excursions, format, limit, offset.",
        ),
        ("/api/training/choices?x=1", "none is taken here"),
        ("/api/configurations?stage=PAPE", "Did you mean 'PAPER'?"),
        ("/api/signals?id=nothing", "it must be PATTERN_DATE_TIME_HEX"),
    ],
)
def test_an_unknown_key_or_word_is_answered_with_those_that_are(client, path, said):
    assert said in detail(client.get(path))


@pytest.mark.parametrize("path", ["/api/candles", "/api/sweeps", "/api/configurations/x"])
def test_a_head_is_that_of_a_get(client, path):
    whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers == whole.headers


@pytest.mark.parametrize("tail", ["", "/results", "/events"])
def test_an_unknown_job_is_not_found(client, tail):
    answer = client.get(f"/api/training/jobs/{'0' * 32}{tail}")
    assert f"No job has the id {'0' * 32}" in detail(answer, 404)


def test_an_unknown_sweep_is_not_found(client):
    said = detail(client.get(f"/api/sweeps/{'0' * 32}"), 404)
    assert f"No sweep has the id {'0' * 32}" in said


@pytest.mark.parametrize("tail", ["cancel", "restart"])
def test_an_unknown_job_cannot_be_changed(client, tail):
    detail(client.post(f"/api/training/jobs/{'0' * 32}/{tail}"), 404)


@pytest.mark.parametrize("tail", ["", "/explanation", "/audit", "/heatmap?x=a&y=b"])
def test_an_unknown_configuration_is_not_found(client, tail):
    answer = client.get(f"/api/configurations/{ID}{tail}")
    assert f"No configuration has the id {ID}" in detail(answer, 404)


@pytest.mark.parametrize(
    ("tail", "body"),
    [
        ("activate", {"reason": "looks right"}),
        ("deactivate", {"reason": "looks wrong"}),
        ("execution", {"fill_rate": 0.9}),
    ],
)
def test_an_unknown_configuration_cannot_be_changed(client, tail, body):
    detail(client.post(f"/api/configurations/{ID}/{tail}", json=body), 404)


@pytest.mark.parametrize(
    ("tail", "body"),
    [
        ("activate", {}),
        ("activate", {"reason": ""}),
        ("activate", {"reason": "x" * 501}),
        ("activate", {"reason": "a\u0000b"}),
        ("deactivate", {"reason": "a\nb"}),
        ("activate", {"reason": "     "}),
        ("activate", {"reason": "a\u202eb no"}),
        ("deactivate", {"reason": "one\u2028two"}),
        ("deactivate", {"reason": "one\u0085two"}),
        ("execution", {}),
        ("execution", {"fill_rate": None, "slippage": None}),
        ("execution", {"fill_rate": 1.1}),
        ("execution", {"slippage": "0.1"}),
        ("execution", {"fill_rate": 0.5, "who": "me"}),
    ],
)
def test_a_change_out_of_bounds_is_refused(client, tail, body):
    detail(client.post(f"/api/configurations/{ID}/{tail}", json=body))


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"\\ud800": 1}', '"demo"', "NaN"])
def test_what_is_no_request_is_refused(client, body):
    detail(client.post(START, content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"seed": ' + b"9" * 5_000 + b"}", b'{"markets": ["\xff"]}'],
    ids=["deep", "long", "no text"],
)
def test_what_no_parser_reads_is_refused_with_a_sentence(client, body):
    answer = client.post(START, content=body, headers={"content-type": "application/json"})
    assert "The body cannot be read as JSON" in detail(answer)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data"])
def test_another_type_than_json_is_named(client, kind):
    answer = client.post(START, content='{"markets": ["demo"]}', headers={"content-type": kind})
    assert "send it with Content-Type: application/json" in detail(answer)


@pytest.mark.parametrize("day", [1704067200, "2024-01-01T00:00:00Z", "1704067200", 1.5, True])
def test_a_day_is_not_made_of_something_else(client, day):
    said = start(client, markets=["btc_binance_1h"], history={"since": day})
    assert "body.history.since" in said


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/training/jobs", "GET, HEAD"),
        ("HEAD", "/api/signals/events", "GET"),
        ("HEAD", START, "POST"),
        ("DELETE", START, "POST"),
        ("OPTIONS", START, "POST"),
        ("TRACE", f"/api/configurations/{ID}", "GET, HEAD"),
    ],
)
def test_another_method_is_answered_with_those_that_are(client, method, path, allowed):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/api/nothing", "/api/training/jobs/", "/api/"])
def test_an_unknown_address_is_told_in_json_beside_pages_too(service, path):
    app = create_app(service)
    app.mount("/", lambda scope, receive, send: PlainTextResponse("a page")(scope, receive, send))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/elsewhere").text == "a page"
        assert "Nothing is at this address" in detail(client.get(path), 404)
        assert client.put("/api/training/jobs").status_code == 405


def test_what_a_client_sent_is_not_repeated(client):
    secret = "s3cret" * 100
    assert secret not in client.post(START, json={"markets": [secret]}).text


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused(client, announced):
    pieces = [b" " * 30_000] * 10
    body = b"".join(pieces) if announced else iter(pieces)
    answer = client.post(START, content=body, headers={"content-type": "application/json"})
    assert "at most 262,144 bytes are read" in detail(answer, 413)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_starts_and_estimates_are_limited_each_by_itself(connect):
    client = connect(starts_a_minute=2)
    for path in (START, "/api/training/estimate"):
        for body in ({"markets": ["dmo"]}, {"markets": ["demo"], "colour": 1}, {}):
            detail(client.post(path, json=body))  # which does not count
        for seed in range(2):
            body = {"markets": ["demo"], "seed": seed}
            assert client.post(path, json=body).status_code in (200, 202)
        answer = client.post(path, json={"markets": ["demo"]})
        assert "Too many" in detail(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_the_description_names_every_endpoint(client):
    described = client.get("/api/openapi.json").json()
    assert json.dumps(described)
    assert {"/api/training/start", "/api/configurations/active"} <= described["paths"].keys()
    for operations in described["paths"].values():
        assert all(operation["description"] for operation in operations.values())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"optimizer": "grid"}, 'body.optimizer: it must be an object such as {"method": "grid"}'),
        ({"validation": 3}, '.validation: it must be an object such as {"method": "walk_forward"}'),
        ({"history": "4y"}, "body.history: it must be an object of days, length, since, until"),
    ],
)
def test_what_must_be_an_object_names_one(client, body, said):
    assert said in detail(client.post(f"{START}", json={"markets": ["demo"], **body}))
