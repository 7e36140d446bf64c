"""What happens is told once to a receiver that works, and not what happened before it was named."""

import time
from datetime import timedelta

import pytest

from pipeline.notices import sender
from pipeline.notices.sender import sending
from pipeline.notices.webhook import key_of, signature
from pipeline.results.records import utc_now
from pipeline.results.tables.live_models import LiveEvent
from support.receiver import SECRET


def note(repository, *texts, kind="enter", **fields):
    repository.live.note(LiveEvent(kind, text, **fields) for text in texts)


def begun(repository, target="webhook 1"):
    """Wait until a sender has begun."""
    deadline = time.monotonic() + 120
    while not any(state.target == target for state in repository.outbox.states()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def settled(repository, **expected):
    """Wait until the counts of the first receiver are these."""
    deadline = time.monotonic() + 120
    while True:
        (state, *_) = repository.outbox.states()
        counts = {name: getattr(state, name) for name in expected}
        if counts == expected:
            return state
        assert time.monotonic() < deadline, f"{counts} and not {expected}: {state}"
        time.sleep(0.01)


def test_what_happens_is_posted_and_signed(repository, config, hook):
    note(repository, "before the first start")
    with sending(repository, config, print):
        begun(repository)
        note(repository, "Long at 100.", market="binance:BTC/USDT:5m", payload={"side": 1})
        (request,) = hook.wait(1)
        state = settled(repository, delivered=1)
    message = request.message
    assert message["type"] == "enter"
    assert message["text"] == "Long at 100."
    assert message["market"] == "binance:BTC/USDT:5m"
    assert message["data"] == {"event": "enter", "side": 1}
    assert request.headers["webhook-id"] == message["id"]
    timestamp = int(request.headers["webhook-timestamp"])
    assert abs(timestamp - time.time()) < 60
    signed = signature(key_of(SECRET), message["id"], timestamp, request.body)
    assert request.headers["webhook-signature"] == signed
    assert (state.waiting, state.given_up, state.failures) == (0, 0, 0)


def test_a_second_start_tells_what_it_missed_and_nothing_twice(repository, config, hook):
    with sending(repository, config, print):
        begun(repository)
        note(repository, "one")
        settled(repository, delivered=1)
    note(repository, "two", kind="leave")
    note(repository, "of no kind that is told", kind="order")
    with sending(repository, config, print):
        settled(repository, delivered=2)
        time.sleep(0.1)
    assert [request.message["text"] for request in hook.requests] == ["one", "two"]
    assert len(set(hook.ids)) == 2


@pytest.mark.parametrize("times", [1, 3])
def test_what_failed_is_sent_again_with_the_same_id(repository, config, hook, monkeypatch, times):
    monkeypatch.setattr(sender, "AGAIN", timedelta(milliseconds=5))
    monkeypatch.setattr(sender, "REST", timedelta(milliseconds=5))
    told = []
    hook.answer = lambda request: 500 if len(hook.requests) < times else 200
    with sending(repository, config, told.append):
        begun(repository)
        note(repository, "once")
        settled(repository, delivered=1, waiting=0)
    assert len(hook.requests) == times + 1
    assert len({request.body for request in hook.requests}) == 1
    first, *later = told
    assert first == "Notifications go to webhook 1."
    assert len(later) == 2, "it fails, and is back"
    assert "500" in later[0]


def test_a_receiver_that_is_down_rests(repository, config, hook, monkeypatch):
    monkeypatch.setattr(sender, "REST", timedelta(seconds=60))
    hook.answer = lambda request: 500
    with sending(repository, config, print):
        begun(repository)
        note(repository, *(str(number) for number in range(10)))
        settled(repository, failures=1)
        time.sleep(0.3)
    assert len(hook.requests) == 1, "one request a rest, whatever waits"
    (state,) = repository.outbox.states()
    assert (state.waiting, state.failures) == (10, 1)
    assert state.due_at - utc_now() < timedelta(seconds=60)
