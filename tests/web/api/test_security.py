"""Which requests are let through: hosts, origins, tokens; and what every answer carries."""

import base64
import logging

import pytest

from pipeline.errors import UserError
from pipeline.web.api.access import COOKIE, Security
from pipeline.web.api.guard import RateLimit

TOKEN = "correct-horse-battery-staple"
JOBS = "/api/training/jobs"


@pytest.fixture
def guarded(connect):
    return connect(Security("0.0.0.0", TOKEN))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_other_machines_are_not_let_in_without_a_token(host):
    with pytest.raises(UserError, match="needs an API token"):
        Security(host)


def test_a_short_token_is_refused_and_not_repeated():
    with pytest.raises(UserError, match="at least 16 characters") as refused:
        Security("0.0.0.0", "hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_token_is_in_no_repr():
    assert TOKEN not in repr(Security("0.0.0.0", TOKEN))


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "127.0.0.2:1", "[::1]:8080"])
def test_loopback_names_are_answered(client, host):
    assert client.get(JOBS, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.7",
        "",
        "127.0.0.1:80@evil.example",
        "[::1",
        "[::1]x",
        "127.0.0.1 evil.example",
    ],
)
def test_other_names_are_not(client, host):
    assert client.get(JOBS, headers={"host": host}).status_code == 421


def test_two_names_are_none(client):
    headers = [("host", "127.0.0.1"), ("host", "evil.example")]
    assert client.get(JOBS, headers=headers).status_code == 421


def test_a_forged_request_is_refused(client):
    path = f"{JOBS}/{'0' * 32}/cancel"
    assert client.post(path, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post(path, headers={"origin": "null"}).status_code == 403
    assert client.post(path, headers={"origin": "http://127.0.0.1:8080"}).status_code == 404


def test_a_form_cannot_start_anything(client):
    body = '{"markets": ["demo"]}'
    answer = client.post(
        "/api/training/start", content=body, headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"a:b").decode()},
        {"cookie": f"{COOKIE}=guessed"},
        {"cookie": f"{COOKIE}={TOKEN}"},
    ],
)
def test_a_wrong_token_is_refused(guarded, headers):
    answer = guarded.get(JOBS, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert TOKEN not in answer.text


def test_the_right_token_is_let_through(guarded):
    assert guarded.get(JOBS, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_browser_is_asked_once_and_then_has_a_cookie(guarded):
    asked = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    answer = guarded.get(JOBS, headers={"authorization": f"Basic {asked}"})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get(JOBS).status_code == 200  # the client kept it


def test_a_token_is_never_logged(guarded, caplog):
    with caplog.at_level(logging.DEBUG):
        guarded.get(JOBS, headers={"authorization": f"Bearer {TOKEN}"})
        guarded.get(JOBS, headers={"authorization": "Bearer wrong-and-long-enough"})
    assert TOKEN not in caplog.text


def test_every_answer_is_closed_to_pages_of_others(client):
    for answer in (client.get(JOBS), client.get("/api/nothing"), client.get(JOBS + "/x")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in answer.headers


def test_a_preflight_is_not_answered(client):
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = client.options("/api/training/start", headers=asked)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_fault_shows_a_reference_and_nothing_else(connect, service, caplog, monkeypatch):
    monkeypatch.setattr(service, "jobs", lambda *a, **k: 1 / 0)
    client = connect()
    client._transport.raise_server_exceptions = False
    answer = client.get(JOBS)
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert answer.json()["reference"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_so_many_pass_in_any_minute():
    now = [0.0]
    limit = RateLimit(2, 60.0, lambda: now[0])
    assert [limit.wait(), limit.wait(), limit.wait()] == [0, 0, 60]
    now[0] = 59.5
    assert limit.wait() == 1
    now[0] = 60.0
    assert [limit.wait(), limit.wait(), limit.wait()] == [0, 0, 60]
