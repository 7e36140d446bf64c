"""Files of candles that are uploaded: looked at, written, refused, and never left behind."""

import io
import sys
import zipfile
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from pipeline.errors import NotCandlesError, UserError
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.store.store import EMPTY, candle_path, load, locked, save
from pipeline.web.api.app import create_app
from pipeline.web.service import candle_process, fetches
from pipeline.web.service.candle_models import ImportQuery
from support.loopback import CANDLE_START, candle_series
from support.serving import service_over, until

HOUR = 3_600_000
IMPORTS = "/api/candles/imports"
ROWS = candle_series(48, HOUR)


@pytest.fixture
def service(tmp_path):
    with service_over(tmp_path) as service:
        yield service


@pytest.fixture
def client(service):
    with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def store(service):
    yield Path(service.settings.store)
    left = [file for file in Path(service.settings.store).rglob("*") if ".imports/" in str(file)]
    assert left == []  # whatever happened


@pytest.fixture
def here(monkeypatch):
    """Import in this process, which is quicker."""

    class Here:
        def __init__(self, task):
            self._task = task

        def messages(self):
            said = []
            try:
                answer = self._task.run(lambda kind, **m: said.append({"kind": kind} | m), Event())
            except NotCandlesError as error:
                raise UserError(str(error)) from None
            yield from said
            yield {"kind": "end"} | answer

    monkeypatch.setattr(fetches, "CandleProcess", Here)


def csv(rows, header="timestamp,open,high,low,close,volume"):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]).encode()


def send(client, body, file="BTCUSDT-1h.csv", market="btc_binance_1h", **more):
    return client.post(IMPORTS, params={"market": market, "file": file} | more, content=body)


def folder(store):
    return candle_path(store, "binance", "BTC/USDT", "1h")


def keep(store, rows):
    table = RawCandles.of(np.array(rows, float))
    save(folder(store), EMPTY.overlay(table, [(CANDLE_START, CANDLE_START + 24 * HOUR)]), "x")


def parquet(rows):
    out = io.BytesIO()
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def zipped(content, name="BTCUSDT-1h.csv"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "file"),
    [(csv(ROWS), "x.csv"), (parquet(ROWS), "x.parquet"), (zipped(csv(ROWS)), "BTCUSDT-1h.zip")],
)
def test_a_file_is_looked_at_and_then_written(client, store, body, file):
    looked = send(client, body, file).json()
    assert (looked["written"], looked["candles"], looked["new"]) == (False, 48, 48)
    assert (looked["id"], looked["first"]) == ("binance:BTC/USDT:1h", "2023-01-01T00:00:00Z")
    assert looked["last"] == "2023-01-02T23:00:00Z"
    assert not folder(store).exists()
    written = send(client, body, file, write=True).json()
    assert written == looked | {"written": True}
    assert load(folder(store)).rows.close.tolist() == [row[4] for row in ROWS]
    (listed,) = client.get("/api/candles").json()["candles"]
    assert listed["sources"] == [file]
    assert listed["quality_at"] is not None  # an import measures what it leaves


def test_a_contradiction_is_told_and_never_written_in_silence(here, client, store):
    stored = [list(row) for row in ROWS[:24] if row[0] != CANDLE_START + 4 * HOUR]
    stored[2][5] += 1
    keep(store, stored)
    before = load(folder(store)).rows
    looked = send(client, csv(ROWS)).json()
    figures = ("new", "same", "different", "only_imported", "only_stored")
    assert [looked[name] for name in figures] == [24, 22, 1, 1, 0]
    assert looked["examples"] == [
        {
            "bar": "2023-01-01T02:00:00Z",
            "figure": "volume",
            "stored": ROWS[2][5] + 1,
            "imported": ROWS[2][5],
        }
    ]
    refused = send(client, csv(ROWS), write=True)
    assert refused.status_code == 409
    assert "Nothing was written: 1 candles have other figures" in refused.json()["detail"]
    assert load(folder(store)).rows.volume.tolist() == before.volume.tolist()
    assert send(client, csv(ROWS), write=True, truth="stored").json()["written"]
    assert load(folder(store)).rows.volume[2] == ROWS[2][5] + 1
    assert send(client, csv(ROWS), write=True, truth="imported").json()["written"]
    assert load(folder(store)).rows.volume.tolist() == [row[5] for row in ROWS]


BOMB = zipped(csv([ROWS[0]]) + b"\n" * (64 << 20))
SHUFFLED = [ROWS[0], ROWS[2], ROWS[1], ROWS[3]]


@pytest.mark.parametrize(
    ("body", "file", "said"),
    [
        (b"", "x.csv", "x.csv is empty"),
        (b"\x00\x01\x02" * 99, "x.csv", "x.csv"),
        (csv(ROWS, "when,a,b,c,d,e"), "x.csv", "x.csv"),
        (csv([[*ROWS[0][:4], "many", 1.0], *ROWS[1:]]), "x.csv", "column 'close' has 'many'"),
        (csv([[ROWS[0][0], 5, 1, 9, 5, -1], *ROWS[1:]]), "x.csv", "volume"),
        (csv(candle_series(48, 300_000)), "x.csv", "5m"),
        (csv(ROWS), "ETHUSDT-1h.csv", "ETHUSDT 1h"),
        (csv(ROWS), "BTCUSDT-5m.csv", "BTCUSDT 5m"),
        (BOMB, "BTCUSDT-1h.zip", "over 200 times as many"),
        (zipped(b"x", "../../etc/BTCUSDT-1h.csv"), "x.zip", "x.zip"),
        (csv(ROWS), "x.xlsx", "spreadsheet"),
        (b"PAR1" + b"0" * 99 + b"PAR1", "x.parquet", "x.parquet"),
        (csv(ROWS), "BTCUSDT-fundingRate-2023-01.csv", "funding"),
    ],
)
def test_what_holds_no_such_candles_is_refused_in_words(here, client, store, body, file, said):
    answer = send(client, body, file, write=True)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]
    assert str(store) not in answer.json()["detail"]
    assert not folder(store).exists()


def test_rows_in_any_order_are_sorted(here, client, store):
    assert send(client, csv(SHUFFLED), write=True).json()["candles"] == 4
    assert load(folder(store)).rows.timestamp.tolist() == [row[0] for row in ROWS[:4]]


@pytest.mark.parametrize("file", ["../x.csv", "a/b.csv", "a\\b.csv", ".x.csv", "", "x" * 121, "\n"])
def test_a_path_in_a_file_name_is_refused(client, store, file):
    answer = send(client, csv(ROWS), file)
    assert answer.status_code == 422
    assert "the name of a file without its folder" in answer.json()["detail"]


@pytest.mark.parametrize("market", ["demo", "nothing_5m", "nowhere:BTC/USDT:5m"])
def test_a_market_that_is_none_is_refused(client, store, market):
    answer = send(client, csv(ROWS), market=market)
    assert answer.status_code == 422, answer.text


def test_an_import_names_its_market(client):
    answer = client.post(IMPORTS, params={"file": "BTCUSDT-1h-2024-01.zip"}, content=b"")
    assert (answer.status_code, answer.json()["detail"]) == (422, "query.market: it is needed")


def test_a_body_is_bounded(tmp_path):
    with service_over(tmp_path) as service:
        object.__setattr__(service.settings, "import_bytes", 1000)
        with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
            for body in (b"x" * 1001, (b"x" * 100 for _ in range(11))):
                answer = send(client, body)
                assert (answer.status_code, "1,000 bytes" in answer.text) == (413, True)
            assert client.post("/api/training/start", content=b"x" * 300_000).status_code == 413
        assert not list(Path(service.settings.store).glob(".imports/*"))


def test_one_is_imported_at_a_time(here, client, service, store):
    with service.candles.imports.place("x.csv") as path:
        path.write_bytes(b"x")
        assert send(client, csv(ROWS)).status_code == 409
    assert send(client, csv(ROWS)).status_code == 200


def test_what_a_killed_server_left_is_removed(here, client, store):
    left = store / ".imports" / "0123"
    left.mkdir(parents=True)
    (left / "x.csv").write_bytes(b"x")
    assert send(client, csv(ROWS)).status_code == 200


def test_another_page_and_a_reading_server_cannot_import(tmp_path):
    with service_over(tmp_path) as service:
        with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
            query = {"market": "btc_binance_1h", "file": "x.csv"}
            foreign = client.post(
                IMPORTS, params=query, content=csv(ROWS), headers={"Origin": "http://evil.example"}
            )
            assert foreign.status_code == 403
        service.read_only = "This server only reads."
        with TestClient(create_app(service), base_url="http://127.0.0.1") as client:
            assert send(client, csv(ROWS)).status_code == 403
            asked = {"markets": ["btc_binance_1h"]}
            assert client.post("/api/candles/fetches", json=asked).status_code == 403


def test_a_process_that_dies_is_a_fault(client, store, monkeypatch):
    monkeypatch.setattr(candle_process, "COMMAND", ("/bin/false",))
    with pytest.raises(candle_process.FaultError):
        send(client, csv(ROWS))


def test_a_market_that_is_being_written_is_not_waited_for(client, store):
    """A fetch may hold it for hours, and no other file would be imported meanwhile."""
    with locked(folder(store)):
        answer = send(client, csv(ROWS), write=True)
        assert (answer.status_code, "fetched or imported" in answer.json()["detail"]) == (409, True)
        assert send(client, csv(ROWS)).status_code == 200  # to look at it takes no lock
    assert not folder(store).exists()
    assert send(client, csv(ROWS), write=True).json()["written"]


def test_what_nobody_wants_any_more_is_not_written(store, service, tmp_path):
    file = tmp_path / "BTCUSDT-1h.csv"
    file.write_bytes(csv(ROWS))
    query = ImportQuery(market="btc_binance_1h", file=file.name, write=True)
    config = service.candles.imports.check(query)
    task = candle_process.Import(config.model_copy(update={"import_path": str(file)}), True, None)
    stop = Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        task.run(lambda kind, **_: None, stop)
    assert not folder(store).exists()


def test_a_server_that_ends_ends_its_import(service, store, monkeypatch):
    """The request is cancelled; the thread that waits for the process must not stay."""
    slow = 'import sys; sys.stdin.read(); print(\'{"kind": "stopped"}\')'
    monkeypatch.setattr(candle_process, "COMMAND", (sys.executable, "-c", slow))
    imports = service.candles.imports
    query = ImportQuery(market="btc_binance_1h", file="x.csv", write=True)
    config = imports.check(query)
    ended = []

    def run():
        with imports.place(query.file) as path:
            path.write_bytes(csv(ROWS))
            with pytest.raises(KeyboardInterrupt):
                imports.run(config, query, path)
        ended.append(True)

    thread = Thread(target=run)
    thread.start()
    until(lambda: imports._process)
    imports.stop()
    thread.join(120)
    assert ended == [True]


def altered(**figures):
    """The rows, of which the fourth has other figures."""
    rows = [list(row) for row in ROWS]
    for name, value in figures.items():
        rows[3][COLUMNS.index(name)] = value
    return rows


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"high": 1.0}, "it must not be below low"),
        ({"volume": -1.0}, "it must not be negative"),
    ],
)
def test_what_no_candle_can_be_is_refused_and_nothing_is_written(
    client, store, here, figures, said
):
    refused = send(client, csv(altered(**figures)), write=True)
    assert refused.status_code == 422
    assert said in refused.json()["detail"]
    assert "2023-01-01 03:00 UTC (line 5 of the file)" in refused.json()["detail"]
    assert not folder(store).exists()


def test_prices_that_contradict_each_other_are_counted_before_they_are_written(client, store, here):
    body = csv(altered(close=ROWS[3][2] * 2))
    looked = send(client, body).json()
    (note,) = [one for one in looked["notes"] if "outside low to high" in one]
    assert note.startswith("BTCUSDT-1h.csv: in 1 candles")
    assert "the first of 2023-01-01 03:00 UTC" in note
    assert not folder(store).exists()
    assert send(client, body, write=True).json()["written"]
    assert load(folder(store)).rows.close[3] == ROWS[3][2] * 2


def test_a_page_is_refused_without_an_error_in_the_console(client, store, here):
    body = csv(altered(volume=-1.0))
    for more, status in (({}, 422), ({"market": "demo"}, 422), ({"market": "none"}, 422)):
        query = {"market": "btc_binance_1h", "file": "x.csv"} | more
        plain = client.post(IMPORTS, params=query, content=body)
        page = client.post(IMPORTS, params=query, content=body, headers={"X-Refusal-In-Body": "1"})
        assert (plain.status_code, "x-status" in plain.headers) == (status, False)
        assert (page.status_code, page.headers["x-status"]) == (200, str(status))
        assert page.json() == plain.json()
    for value in ("0", "", "true"):
        page = client.post(
            IMPORTS, params=query, content=body, headers={"X-Refusal-In-Body": value}
        )
        assert (page.status_code, "x-status" in page.headers) == (plain.status_code, False)
    done = client.post(
        IMPORTS,
        params={"market": "btc_binance_1h", "file": "x.csv"},
        content=csv(ROWS),
        headers={"X-Refusal-In-Body": "1"},
    )
    assert (done.status_code, "x-status" in done.headers) == (200, False)
