"""A webhook says what became of a message, repeats no address, and follows nobody."""

import logging
import socket
import threading
from datetime import timedelta

import pytest

from pipeline.notices import webhook
from pipeline.notices.message import trial_message
from pipeline.notices.receipt import Receipt
from pipeline.notices.webhook import Webhook, complaint, key_of, new_secret
from support.receiver import HIDDEN, SECRET, receiver


def post(url):
    return Webhook("webhook 1", url, [key_of(SECRET)]).send(trial_message().body())


@pytest.mark.parametrize(
    ("status", "refused", "ended"),
    [
        (302, True, False),
        (400, True, False),
        (401, True, False),
        (404, True, False),
        (410, True, True),
        (408, False, False),
        (429, False, False),
        (500, False, False),
        (503, False, False),
    ],
)
def test_an_answer_says_whether_the_message_is_refused(hook, status, refused, ended):
    hook.answer = lambda request: status
    hook.headers = {"location": "http://127.0.0.1:9/elsewhere"}
    receipt = post(hook.url)
    assert str(status) in (receipt.error or "")
    assert (receipt.refused, receipt.ended) == (refused, ended)
    assert len(hook.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_success_is_one(hook, status):
    hook.answer = lambda request: status
    assert post(hook.url) == Receipt()


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("7", 7), ("999999999999", 3600), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("soon", None)],
)
def test_a_receiver_may_ask_for_a_rest(hook, asked, seconds):
    hook.answer = lambda request: 429
    hook.headers = {"retry-after": asked}
    wait = None if seconds is None else timedelta(seconds=seconds)
    assert post(hook.url).wait == wait


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "cannot be reached" in (post(f"http://127.0.0.1:{port}/{HIDDEN}").error or "")


def test_a_connection_that_is_closed_is_a_failure(hook):
    hook.answer = lambda request: None
    assert "closed the connection" in (post(hook.url).error or "")


def test_a_receiver_that_is_silent_is_not_waited_for(hook, monkeypatch):
    monkeypatch.setattr(webhook, "READ", 0.2)
    over = threading.Event()
    hook.answer = lambda request: 200 if over.wait(10) else 500
    assert "did not answer within 0.2 s" in (post(hook.url).error or "")
    over.set()


def test_what_speaks_no_tls_is_not_trusted(hook):
    assert "certificate" in (post(hook.url.replace("http:", "https:")).error or "")


@pytest.mark.parametrize("host", ["1.1.1.1", "[2001:4860:4860::8888]", "8.8.8.8"])
def test_nothing_crosses_the_network_in_the_clear(host):
    receipt = post(f"http://{host}/{HIDDEN}")
    assert receipt.error == (
        "http:// is only for this machine and private networks: give it an https:// address"
    )


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "host/x", "https:///x", "https://[x/y", "https://host:port/", "json://h"],
)
def test_what_is_no_address_is_refused_unseen(url):
    said = complaint(url)
    assert said is not None
    assert url not in said


def test_the_environment_names_the_proxy(hook, monkeypatch):
    with receiver() as proxy:
        proxy.answer = lambda request: 202
        monkeypatch.setenv("http_proxy", f"http://user:{HIDDEN}@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        assert post(hook.url) == Receipt()
        assert (len(proxy.requests), len(hook.requests)) == (1, 0)
        monkeypatch.setenv("http_proxy", f"gopher://user:{HIDDEN}@127.0.0.1:{proxy.port}")
        said = post(hook.url).error or ""
    assert said
    assert HIDDEN not in said


def test_no_log_shows_an_address(hook, caplog):
    caplog.set_level(logging.DEBUG)
    assert post(hook.url) == Receipt()
    post(f"http://127.0.0.1:9/{HIDDEN}")
    assert HIDDEN not in caplog.text
    assert HIDDEN not in repr(Webhook("webhook 1", hook.url, [key_of(SECRET)]))


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_AAAA", "whsec_" + "A" * 100, "whsec_ä" + "A" * 31, "no-base64!" * 4]
)
def test_a_secret_that_is_none_is_not_repeated(secret):
    with pytest.raises(ValueError, match="it ") as caught:
        key_of(secret)
    assert secret.removeprefix("whsec_")[:6] not in str(caught.value) or len(secret) < 8


def test_a_new_secret_is_one():
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()


def test_a_mistake_of_the_environment_is_a_failure_and_no_end(hook, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    assert "REQUESTS_CA_BUNDLE" in (post(hook.url).error or "")
