"""Signals over HTTP: polled, waited for and streamed; what is old or edited is refused."""

import json
import threading
import time
from datetime import date, timedelta

import httpx2 as httpx
import numpy as np
import pytest
from sqlalchemy import text

from pipeline.live.signal import START
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.tables.live_models import PaperDay
from pipeline.validation.sequential import live_band
from pipeline.web.api.signals import SignalStream
from pipeline.web.service import signals as service_signals
from pipeline.web.service.paper import PaperBand
from support.serving import listening
from support.signals import a_signal, follow, newest_close

SIGNALS = "/api/signals"


@pytest.fixture
def service(trained_service):
    return trained_service


@pytest.fixture
def active(client, stored, service):
    """A MATURE configuration that is switched on, without a signal."""
    path = stored()
    assert client.post(f"{path}/activate", json={"reason": "it passed"}).status_code == 200
    return service.configuration(path.rpartition("/")[2])


@pytest.fixture
def say(repository):
    """Store the newest signal of a configuration."""

    def said(configuration, closed=None, **changes):
        repository.live.keep_signals({configuration.id: a_signal(configuration, closed, **changes)})

    return said


def told(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def only(client):
    page = told(client.get(SIGNALS))
    assert page["refused"] == []
    (signal,) = page["signals"]
    return signal


def test_nothing_is_switched_on(client):
    page = told(client.get(SIGNALS))
    assert (page["signals"], page["refused"]) == ([], [])


def test_a_signal_is_served_as_it_is_stored(client, active, say):
    say(active)
    signal = only(client)
    assert told(client.get(f"{SIGNALS}/{active.id}")) == signal
    assert (signal["action"], signal["size"], signal["notional"]) == ("wait", 1.0, 0.5)
    assert signal["refusal"] is None


def test_without_a_signal_it_says_what_to_start(client, active):
    signal = only(client)
    assert "scripts/paper" in signal["refusal"]
    assert (signal["action"], signal["size"], signal["notional"]) == (None, 0.0, 0.0)
    assert signal["stage"] == "MATURE"


def test_a_signal_is_stale_once_the_next_candle_is_late(client, active, say, monkeypatch):
    closed = newest_close(active.timeframe)
    say(active, closed)
    step = timedelta(milliseconds=timeframe_ms(active.timeframe))
    for late, stale in ((timedelta(seconds=59), False), (timedelta(seconds=60), True)):
        monkeypatch.setattr(service_signals, "utc_now", lambda late=late: closed + step + late)
        signal = only(client)
        assert (signal["refusal"] is not None) is stale
        assert signal["size"] == (0.0 if stale else 1.0)
    assert signal["refusal"].startswith("stale: the newest candle that was followed closed ")
    assert signal["refusal"].endswith(START)
    assert signal["candle"]["close"] == 100.0
    tag = client.get(SIGNALS).headers["etag"]
    monkeypatch.setattr(service_signals, "utc_now", lambda: closed + timedelta(days=3))
    assert client.get(SIGNALS, headers={"If-None-Match": tag}).status_code == 304


def test_an_entry_is_served_for_a_minute_after_its_open(client, active, say, monkeypatch):
    closed = newest_close(active.timeframe)
    say(active, closed, action="enter", at=closed.isoformat())
    for seconds, action in ((60, "enter"), (61, "wait")):
        now = closed + timedelta(seconds=seconds)
        monkeypatch.setattr(service_signals, "utc_now", lambda now=now: now)
        assert only(client)["action"] == action


@pytest.mark.parametrize("ahead", [300, -300])
def test_what_is_late_is_so_by_the_exchanges_clock(
    client, active, say, monkeypatch, repository, ahead
):
    """The server runs where the signal was made, and its clock is five minutes off."""
    closed = newest_close(active.timeframe)
    say(active, closed, action="enter", at=closed.isoformat(), ahead=ahead)
    step = timedelta(milliseconds=timeframe_ms(active.timeframe))

    def said(after):
        now = closed + after - timedelta(seconds=ahead)
        monkeypatch.setattr(service_signals, "utc_now", lambda: now)
        signal = only(client)
        return signal["action"], signal["refusal"] is not None

    minute, second = timedelta(seconds=60), timedelta(seconds=1)
    # Who made it is not here: the clock of this machine counts.
    assert said(minute + second) == ("enter" if ahead > 0 else "wait", False)
    assert repository.follower.claim()
    assert said(minute) == ("enter", False)
    assert said(minute + second) == ("wait", False)
    assert said(step + minute - second) == ("wait", False)
    assert said(step + minute) == (None, True)


def test_an_old_refusal_says_that_nobody_follows(client, active, say):
    closed = newest_close(active.timeframe) - timedelta(days=1)
    gone = {"refusal": "no answer", "action": None, "at": None, "candle": None, "size": 0.0}
    say(active, closed, **gone)
    refusal = only(client)["refusal"]
    assert "no answer" in refusal
    assert "scripts/paper" in refusal


@pytest.mark.parametrize("changes", [{"version": 2}, {"size": 7.0}, {"colour": "red"}])
def test_a_signal_that_cannot_be_read_is_refused(client, active, say, changes):
    say(active, **changes)
    signal = only(client)
    assert "cannot be read" in signal["refusal"]
    assert signal["size"] == 0.0


def test_the_stage_of_now_counts(client, active, say):
    say(active)
    path = f"/api/configurations/{active.id}/execution"
    for report, stage, size in (
        ({"adverse_selection_score": 0.5}, "VALIDATION", 0.5),
        ({"fill_rate": 0.2}, "PAPER", 0.0),
    ):
        told(client.post(path, json=report))
        signal = only(client)
        assert (signal["stage"], signal["size"]) == (stage, size)
        assert signal["notional"] == 0.5 * size


def test_a_poll_is_answered_304_until_something_changes(client, active, say):
    tags = [client.get(SIGNALS).headers["etag"]]
    for change in (
        lambda: say(active),
        lambda: say(active, action="blocked"),
        lambda: client.post(f"/api/configurations/{active.id}/execution", json={"fill_rate": 0.2}),
        lambda: client.post(
            f"/api/configurations/{active.id}/deactivate", json={"reason": "enough"}
        ),
    ):
        same = client.get(SIGNALS, headers={"If-None-Match": tags[-1]})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tags[-1])
        change()
        answer = client.get(SIGNALS, headers={"If-None-Match": tags[-1]})
        assert told(answer)["etag"] == answer.headers["etag"].strip('"')
        tags.append(answer.headers["etag"])
    assert len(set(tags)) == 5


def test_ids_choose_and_what_is_not_switched_on_is_named(client, active, say, service):
    say(active)
    (other,) = {one.id for one in service.repository.configurations.find()} - {active.id}
    page = told(client.get(SIGNALS, params={"id": [active.id, other]}))
    assert [one["id"] for one in page["signals"]] == [active.id]
    assert page["refused"] == [
        {"id": other, "reason": "no configuration with this id is switched on"}
    ]
    alone = client.get(SIGNALS, params={"id": active.id})
    assert told(alone)["refused"] == []
    assert told(client.get(f"{SIGNALS}/{other}"), 409)["detail"].startswith(other)
    assert client.get(f"{SIGNALS}/{other[:-6]}123456").status_code == 404
    assert client.get(SIGNALS, params={"id": "nothing"}).status_code == 422


def test_signals_come_in_pages(client, active, say):
    say(active)
    first, beyond = (told(client.get(SIGNALS, params={"limit": 1, "offset": at})) for at in (0, 1))
    assert [one["id"] for one in first["signals"]] == [active.id]
    assert beyond == first | {"signals": [], "offset": 1}
    assert (first["total"], first["limit"]) == (1, 1)


def test_what_was_edited_is_refused(client, active, say, service):
    say(active)
    with service.repository.engine.begin() as connection:
        connection.execute(
            text("UPDATE trained_configurations SET oos_net_profit = 9 WHERE id = :id"),
            {"id": active.id},
        )
    page = told(client.get(SIGNALS))
    why = "column oos_net_profit is not what was stored"
    assert (page["signals"], page["refused"]) == ([], [{"id": active.id, "reason": why}])
    assert why in told(client.get(f"{SIGNALS}/{active.id}"), 409)["detail"]


def test_a_wait_ends_with_the_next_signal(client, active, say, monkeypatch):
    say(active)
    tag = client.get(SIGNALS).headers["etag"]
    waits, change = threading.Event(), SignalStream._change

    async def waiting(*arguments):
        waits.set()
        return await change(*arguments)

    monkeypatch.setattr(SignalStream, "_change", waiting)
    waiter = threading.Thread(target=lambda: waits.wait(60) and say(active, action="blocked"))
    waiter.start()
    began = time.monotonic()
    answer = client.get(SIGNALS, params={"wait": 60}, headers={"If-None-Match": tag})
    waiter.join()
    assert waits.is_set()
    assert told(answer)["signals"][0]["action"] == "blocked"
    assert time.monotonic() - began < 50
    began = time.monotonic()
    tag = answer.headers["etag"]
    same = client.get(SIGNALS, params={"wait": 0.2}, headers={"If-None-Match": tag})
    assert same.status_code == 304
    assert time.monotonic() - began >= 0.2


def test_a_wait_of_some_ids_is_not_ended_by_others(client, active, say, repository):
    say(active)
    other = f"{active.id[:-6]}000000"
    tag = client.get(SIGNALS, params={"id": other}).headers["etag"]
    waiter = threading.Timer(0.1, say, (active,), {"action": "blocked"})
    waiter.start()
    asked = {"wait": 0.5, "id": other}
    assert client.get(SIGNALS, params=asked, headers={"If-None-Match": tag}).status_code == 304
    waiter.join()


def test_without_a_tag_there_is_nothing_to_wait_for(client, active):
    began = time.monotonic()
    assert client.get(SIGNALS, params={"wait": 60}).status_code == 200
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("wait", [-1, 61, "nan", "inf", "x"])
def test_a_wait_has_bounds(client, wait):
    assert client.get(SIGNALS, params={"wait": wait}).status_code == 422


def test_who_waits_takes_a_place(connect):
    client = connect(lasting=0)
    assert client.get(SIGNALS).status_code == 200
    assert client.get(SIGNALS, params={"wait": 1}).status_code == 429
    assert client.get(f"{SIGNALS}/events").status_code == 429


class Listener:
    """Reads an event stream line by line."""

    def __init__(self, stream):
        self._lines = stream.iter_lines()
        self.last = ""

    def batch(self):
        """Kinds and data of events up to the next id."""
        events, kind = [], None
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "id":
                self.last = value
            elif field == "event":
                kind = value
            elif field == "data":
                events.append((kind, json.loads(value)))
                if self.last:
                    return events
        return events


def test_a_stream_tells_everything_and_then_what_changes(service, active, say):
    say(active)
    with listening(service) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        with http.stream("GET", f"{SIGNALS}/events") as stream:
            listener = Listener(stream)
            (kind, ids), (second, signal) = listener.batch()
            assert (kind, second) == ("active", "signal")
            assert (ids, signal["id"]) == ({"ids": [active.id]}, active.id)
            listener.last = ""
            say(active, action="blocked")
            ((kind, signal),) = listener.batch()
            assert (kind, signal["action"]) == ("signal", "blocked")
        tag = {"Last-Event-ID": listener.last}
        with http.stream("GET", f"{SIGNALS}/events", headers=tag) as stream:
            listener = Listener(stream)
            service.deactivate(active.id, "enough of it")
            ((kind, ids),) = listener.batch()
            assert (kind, ids) == ("active", {"ids": []})
        with http.stream("GET", f"{SIGNALS}/events", headers={"Last-Event-ID": "x"}) as stream:
            assert stream.status_code == 422


def test_the_paper_account_is_shown_a_page_at_a_time(client, active, repository):
    path = f"/api/configurations/{active.id}/paper"
    assert "scripts/paper" in told(client.get(path), 404)["detail"]
    assert client.get(path.replace(active.id, f"{active.id[:-6]}000000")).status_code == 404
    follow(repository, active.id)
    ledger = told(client.get(path, params={"limit": 2, "offset": 1}))
    assert ledger["account"]["equity"] == 1.01**3
    assert [one["number"] for one in ledger["trades"]] == [1, 0]
    assert [one["day"] for one in ledger["days"]] == ["1970-01-03", "1970-01-02"]
    assert [one["text"] for one in ledger["events"]] == ["line 1", "line 0"]
    totals = [ledger[f"total_{what}"] for what in ("trades", "days", "events")]
    assert totals == [3, 4, 3]
    assert ledger["band"]["unknown"] == "its record cannot be read"
    assert (ledger["band"]["live_days"], ledger["band"]["last_day"]) == (4, "1970-01-04")


@pytest.mark.parametrize(("ret", "within"), [(0.002, True), (-0.02, False)])
def test_an_account_says_whether_it_is_in_its_band(ret, within):
    rng = np.random.default_rng(1)
    promised = rng.normal(0.002, 0.01, 200)
    days = [PaperDay(19_000 + n, ret, (1.0 + ret) ** (n + 1)) for n in range(40)]
    found = live_band(promised, np.array([day.ret for day in days]), 7)
    band = PaperBand.of(found, days)
    assert band.within is within
    assert band.left_path is not within
    assert (band.alarm_day is None) is within
    if not within:
        assert band.p <= band.alarm_at
        first = date(1970, 1, 1).toordinal() + 19_000
        assert band.alarm_day.toordinal() == first + found.test.alarm_day - 1
    assert PaperBand.of(None, days).unknown is not None
    assert PaperBand.of(live_band(promised, np.empty(0), 7), []).within is None
