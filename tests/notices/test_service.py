"""apprise delivers through a real service of its own, and shows no address to anybody."""

import logging

import pytest

from pipeline.notices.message import trial_message
from pipeline.notices.receipt import Receipt
from pipeline.notices.service import Service
from support.receiver import HIDDEN


def json_address(hook):
    return hook.url.replace("http://", "json://")


def test_a_service_gets_title_and_text(hook):
    hook.answer = lambda request: 200
    service = Service("apprise 1", json_address(hook))
    assert service.send(trial_message().body()) == Receipt()
    (request,) = hook.requests
    got = request.message
    assert got["title"] == "Test message"
    assert got["message"] == "A person asked for this test message. Nothing happened."
    assert got["type"] == "info"


def test_a_failure_is_one_and_shows_no_address(hook, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    hook.answer = lambda request: 500
    service = Service("apprise 1", json_address(hook))
    receipt = service.send(trial_message().body())
    nobody = Service("apprise 1", f"json://127.0.0.1:9/{HIDDEN}").send(trial_message().body())
    assert receipt.error == nobody.error == "apprise could not deliver it"
    assert not receipt.refused
    out, err = capfd.readouterr()
    assert HIDDEN not in out + err + caplog.text + repr(service)


def test_a_plugin_that_breaks_says_nothing_of_the_address(monkeypatch):
    def broken(self, **_):
        raise RuntimeError(self.url())

    import apprise

    monkeypatch.setattr(apprise.plugins.custom_json.NotifyJSON, "send", broken)
    receipt = Service("apprise 1", f"json://127.0.0.1:9/{HIDDEN}").send(trial_message().body())
    assert receipt.error
    assert HIDDEN not in receipt.error


@pytest.mark.parametrize("address", [f"{HIDDEN}://x", "no address", "tgram://"])
def test_what_apprise_does_not_know_is_said(address):
    service = Service("apprise 1", address)
    assert not service.is_known()
    assert HIDDEN not in (service.send(trial_message().body()).error or HIDDEN)
