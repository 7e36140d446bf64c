"""What a configuration keeps, as tables over HTTP: the same in every form, page by page."""

import csv
import io
import math
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import REASONS
from pipeline.errors import NotFoundError
from pipeline.report.tables import equity_table
from pipeline.report.trials import trials_of, trials_table
from pipeline.results.artifacts.artifact_set import (
    DailySeries,
    ScoreSummary,
    ScoreSurface,
    read_artifacts,
)
from pipeline.web.api.app import create_app
from pipeline.web.api.configurations import BestPage, EquityPage, TradePage, TrialPage, WindowPage
from pipeline.web.service.stored_tables import StoredTables
from support.parameters import STOP
from support.runs import SMALL_SHAPE, SMALL_SIZE
from support.serving import service_over

HERE = "http://127.0.0.1:8080"
PAGES = {"trades": TradePage, "equity": EquityPage, "windows": WindowPage, "trials": TrialPage}
PAGES["best"] = BestPage


@pytest.fixture(scope="module")
def whole(tmp_path_factory, trained):
    """A client over a copy of the training, its configuration and its artifacts."""
    folder = tmp_path_factory.mktemp("tables")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    with (
        service_over(folder) as service,
        TestClient(create_app(service), base_url=HERE) as client,
    ):
        (found,) = service.repository.configurations.find()
        yield client, found, read_artifacts(Path(service.settings.storage.artifacts), found.id)


def rows(client, configuration, key, **query):
    answer = client.get(f"/api/configurations/{configuration.id}/{key}", params=query)
    assert answer.status_code == 200, answer.text
    PAGES[key].model_validate_json(answer.content)
    return answer.json()[key]


def flat(row, above=""):
    """A row of JSON as CSV has it: a field of a field is a path."""
    cells = {}
    for name, value in row.items():
        cells |= (
            flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
        )
    return cells


def test_trades_are_those_of_the_record(whole):
    client, configuration, record = whole
    found = rows(client, configuration, "trades")
    assert len(found) == len(record.trades) > 5
    first = datetime.fromisoformat(configuration.provenance["first_candle"]).astimezone(UTC)
    for number, (row, trade) in enumerate(zip(found, record.trades, strict=True), 1):
        entered = first + timedelta(hours=int(trade["entry_bar"]))
        assert row["number"] == number
        assert row["side"] == {1: "long", -1: "short"}[int(trade["side"])]
        assert row["entry_time"] == f"{entered:%Y-%m-%dT%H:%M:%SZ}"
        assert row["reason"] == REASONS[trade["reason"]]
        assert (row["entry"], row["exit"], row["net_return"]) == (
            *(trade["entry"], trade["exit"], trade["ret"]),
        )


@pytest.mark.parametrize("days", ["out_of_sample", "in_sample"])
def test_equity_is_that_of_the_series(whole, days):
    client, configuration, record = whole
    series = getattr(record, days)
    found = rows(client, configuration, "equity", days=days)
    assert [row["net_return"] for row in found] == series.returns.tolist()
    assert [row["day"] for row in found] == series.day.astype("M8[D]").astype(str).tolist()
    assert found[-1]["equity"] == pytest.approx(math.prod(1 + r for r in series.returns))
    assert {row["hold_return"] is None for row in found} == {series.hold is None}


def test_equity_and_drawdown_of_three_days():
    series = DailySeries(np.arange(3, dtype=np.int32), np.array([-0.5, 1.0, 0.5]))
    cells = equity_table(series).cells(0, 3)
    assert cells["equity"].tolist() == [0.5, 1.0, 1.5]
    assert cells["drawdown"].tolist() == [0.5, 0.0, 0.0]
    assert np.isnan(cells["hold_equity"]).all()


def test_windows_are_those_of_the_record(whole):
    client, configuration, record = whole
    found = rows(client, configuration, "windows")
    assert len(found) == len(record.windows)
    for row, window in zip(found, record.windows, strict=True):
        assert [row["train_first"], row["train_last"]] == window["train"]
        assert [row["test_first"], row["test_last"]] == window["test"]
        for part in ("parameters", "in_sample", "out_of_sample"):
            assert row[part] == (window[part] or dict.fromkeys(row[part]))


def test_trials_are_those_of_the_grid(whole):
    client, configuration, record = whole
    found = rows(client, configuration, "trials")
    assert [row["index"] for row in found] == list(range(SMALL_SIZE))
    for row in found:
        at = np.unravel_index(row["index"], SMALL_SHAPE)
        values = zip(record.scores.axes.items(), at, strict=True)
        assert row["parameters"] == {name: axis[i] for (name, axis), i in values}
        for name, metric in record.scores.metrics.items():
            assert row[name] == (None if np.isnan(metric[at]) else metric[at])
        assert row["admissible"] == (not np.isnan(record.scores.metrics["score"][at]))


def test_the_best_are_those_of_the_grid_and_the_stored_one(whole):
    client, configuration, record = whole
    found = rows(client, configuration, "best")
    scores = record.scores.metrics["score"].ravel()
    order = np.argsort(-scores, kind="stable")[: np.count_nonzero(~np.isnan(scores))]
    place = {int(index): rank for rank, index in enumerate(order, 1)}
    assert len(found) == min(50, len(order))
    assert [row["rank"] for row in found] == [place[row["index"]] for row in found]
    assert [row["rank"] for row in found[:-1]] == list(range(1, len(found)))
    (stored,) = (row for row in found if row["stored"])
    assert stored["parameters"] == configuration.parameters
    for row in found:
        assert row["score"] == scores[row["index"]]
        assert row["valued"] == "marked_to_market"
        assert set(row["unseen"].values()) == {None}  # the final search saw every day
    kept = {name: configuration.in_sample[name] for name in stored["in_sample"]}
    assert stored["in_sample"] == pytest.approx(kept)


@pytest.mark.parametrize("key", PAGES)
def test_every_form_has_the_same_cells(whole, key):
    client, configuration, _ = whole
    plain = [flat(row) for row in rows(client, configuration, key)]
    path = f"/api/configurations/{configuration.id}/{key}"
    written = client.get(path, params={"format": "csv"})
    assert written.headers["content-disposition"].endswith(f'{configuration.id}-{key}.csv"')
    cells = list(csv.DictReader(io.StringIO(written.text)))
    assert list(cells[0]) == list(plain[0])
    for row, line in zip(plain, cells, strict=True):
        for name, value in row.items():
            text = line[name]
            if isinstance(value, bool):
                assert text == str(value).lower()
            elif isinstance(value, int | float):
                assert float(text) == value
            else:
                assert text == (value or "")
    accept = {"Accept": "application/vnd.apache.parquet"}
    table = pq.read_table(io.BytesIO(client.get(path, headers=accept).content))
    assert all(field.metadata[b"meaning"] for field in table.schema)
    for row, stored in zip(plain, table.to_pylist(), strict=True):
        for name, value in row.items():
            cell = stored[name]
            if isinstance(cell, datetime):
                cell = f"{cell:%Y-%m-%dT%H:%M:%SZ}"
            assert (str(cell) if isinstance(value, str) else cell) == value


@settings(max_examples=4, deadline=None)
@given(
    limit=st.integers(min_value=20, max_value=100),
    sort=st.sampled_from(["index", "score", "win_rate", f"parameters.{STOP}"]),
    descending=st.booleans(),
)
def test_pages_together_are_the_whole_in_order(whole, limit, sort, descending):
    client, configuration, _ = whole
    order = {"sort": sort, "descending": descending}
    pages = [
        rows(client, configuration, "trials", limit=limit, offset=offset, **order)
        for offset in range(0, SMALL_SIZE + 1, limit)
    ]
    together = [row for page in pages for row in page]
    assert together == rows(client, configuration, "trials", **order)
    assert {row["index"] for row in together} == set(range(SMALL_SIZE))
    keys = [flat(row)[sort] for row in together]
    known = [key for key in keys if key is not None]
    assert known == sorted(known, reverse=descending)
    assert keys[len(known) :] == [None] * (len(keys) - len(known)), "no number comes last"


def test_what_is_infinite_is_first_and_what_is_undefined_last():
    scores = ScoreSurface({"a": [1, None]}, {"score": np.array([np.nan, np.inf], np.float32)})
    for descending in (True, False):
        cells = trials_table(trials_of(scores), "score", descending).cells(0, 2)
        assert cells["index"].tolist() == [1, 0]
        assert cells["admissible"].tolist() == [True, False]
        assert np.isnan(cells["parameters.a"]).tolist() == [True, False]


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.0, 1.0, 2.0, math.inf, -math.inf, math.nan]), min_size=1),
    data=st.data(),
)
def test_a_page_of_an_order_is_that_of_the_whole_order(values, data):
    scores = ScoreSurface({"a": values}, {"score": np.array(values, np.float32)})
    start = data.draw(st.integers(0, len(values)))
    end = data.draw(st.integers(start, len(values)))
    for descending in (False, True):
        table = trials_table(trials_of(scores), "score", descending)
        page = table.cells(start, end)["index"].tolist()
        signed = [-value if descending else value for value in values]
        order = sorted(range(len(values)), key=lambda i: (math.isnan(signed[i]), signed[i]))
        known = [i for i in order if not math.isnan(values[i])]
        undefined = [i for i in range(len(values)) if math.isnan(values[i])]
        assert page == [*known, *undefined][start:end]


def test_of_a_grid_too_large_to_keep_the_best_are_listed():
    index = np.array([5, 0])
    kept = ScoreSummary({"a": [1, 2], "b": [1, 2, 3]}, index, np.array([0.2, 0.1]), {})
    table = trials_table(trials_of(kept))
    assert [column.name for column in table.columns] == [
        *("index", "parameters.a", "parameters.b", "admissible", "score"),
    ]
    cells = table.cells(0, 2)
    assert cells["index"].tolist() == [5, 0]
    assert (cells["parameters.a"].tolist(), cells["parameters.b"].tolist()) == ([2, 1], [3, 1])


def test_a_page_beyond_the_end_is_empty(whole):
    client, configuration, _ = whole
    path = f"/api/configurations/{configuration.id}/trials"
    page = client.get(path, params={"offset": SMALL_SIZE}).json()
    assert (page["total"], page["offset"], page["trials"]) == (SMALL_SIZE, SMALL_SIZE, [])
    for form in ("csv", "parquet"):
        answer = client.get(path, params={"offset": SMALL_SIZE + 5, "format": form})
        assert answer.status_code == 200


def test_a_tag_is_of_the_content_and_of_the_form(whole):
    client, configuration, _ = whole
    path = f"/api/configurations/{configuration.id}/trades"
    tags = {
        form: client.get(path, params={"format": form}).headers["etag"]
        for form in ("json", "csv", "parquet")
    }
    assert len(set(tags.values())) == 3
    for form, tag in tags.items():
        same = client.get(path, params={"format": form}, headers={"If-None-Match": tag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    other = client.get(path, headers={"If-None-Match": tags["csv"]})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"sort": "colour"}, "allowed are index, parameters.pierce_depth"),
        ({"sort": "scor"}, "Did you mean 'score'?"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"limit": 10_001}, "less than or equal to 10000"),
        ({"offset": -1}, "greater than or equal to 0"),
        ({"format": "xml"}, "'json', 'csv' or 'parquet'"),
    ],
)
def test_what_cannot_be_asked_is_refused(whole, query, said):
    client, configuration, _ = whole
    answer = client.get(f"/api/configurations/{configuration.id}/trials", params=query)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text


def test_a_draw_of_an_earlier_build_keeps_no_trials(whole):
    _, configuration, _ = whole
    drawn = replace(configuration, artifact_digests={"trades.parquet": "0" * 64})
    with pytest.raises(NotFoundError, match="random and Bayesian searches kept none"):
        StoredTables(drawn, Path()).trials()


def test_an_unknown_configuration_is_not_found(whole):
    unknown = "/api/configurations/LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3"
    assert {whole[0].get(f"{unknown}/{key}").status_code for key in PAGES} == {404}


class TestChanged:
    @pytest.fixture
    def service(self, trained_service):
        return trained_service

    @pytest.fixture
    def path(self, service):
        (found,) = service.repository.configurations.find()
        return f"/api/configurations/{found.id}/trades"

    def test_an_edited_artifact_is_refused(self, client, service, path):
        tag = client.get(path).headers["etag"]
        (file,) = Path(service.settings.storage.artifacts).glob("*/out_of_sample.parquet")
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        answer = client.get(path, headers={"If-None-Match": tag})
        assert answer.status_code == 409
        assert "artifact out_of_sample.parquet is not what was stored" in answer.json()["detail"]

    def test_artifacts_that_are_away_are_asked_for(self, client, service, path):
        root = Path(service.settings.storage.artifacts)
        root.rename(root.with_name("away"))
        answer = client.get(path)
        assert (answer.status_code, "mount it" in answer.json()["detail"]) == (409, True)

    def test_one_without_artifacts_says_so(self, client, stored):
        answer = client.get(f"{stored()}/trades")
        assert (answer.status_code, "keeps no artifacts" in answer.json()["detail"]) == (404, True)
