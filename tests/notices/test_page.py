"""The page's check of a signature takes what is genuine; its JSON is that of a message."""

import json
import time

import pytest

from pipeline.notices.message import trial_message
from pipeline.notices.webhook import Webhook, key_of, signature
from support.documents import ROOT, fences
from support.receiver import SECRET

PAGE = ROOT / "docs/notifications.md"


@pytest.fixture(scope="module")
def is_genuine():
    (lines,) = [
        fence for fence in fences(PAGE) if "def is_genuine(headers, body, secret):" in str(fence)
    ]
    assert len([line for line in lines if line]) <= 11, "ten lines and the imports"
    names = {}
    exec("\n".join(lines), names)
    return names["is_genuine"]


def test_the_ten_lines_take_a_real_message_and_nothing_else(is_genuine, hook):
    other = "whsec_" + "A" * 40
    message = trial_message().body()
    sent = Webhook("webhook 1", hook.url, [key_of(other), key_of(SECRET)]).send(message)
    assert sent.error is None
    (request,) = hook.requests
    headers, body = request.headers, request.body
    assert is_genuine(headers, body, SECRET)
    assert is_genuine(headers, body, other), "both are signed with"
    assert not is_genuine(headers, body, "whsec_" + "B" * 40)
    assert not is_genuine(headers, body + b" ", SECRET)
    assert not is_genuine(headers | {"webhook-id": "msg_1"}, body, SECRET)
    assert not is_genuine(
        headers | {"webhook-timestamp": str(int(time.time()) - 301)}, body, SECRET
    )


def test_the_signature_is_that_of_the_published_library():
    """The values are those of standardwebhooks 1.0 for Python."""
    identity, timestamp = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    signed = signature(key_of(SECRET), identity, timestamp, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_json_of_the_page_has_the_fields_of_a_message():
    (shown,) = [fence for fence in fences(PAGE) if fence[0] == "{"]
    assert json.loads("\n".join(shown)).keys() == trial_message().body().keys()
