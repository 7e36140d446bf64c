"""Every request in docs/api.md is asked of the real application, one after the other, and answered
as the page says.

Of `FREE` fields only the type counts, ``...`` stands for whatever is left out, and ID, JOB, TAG and
TAG2 for what the application gives.
"""

import json
import re
from datetime import UTC, datetime

import pytest

from support.documents import ROOT

#: The page's own, which stands for today where it is no time.
DAY = "2026-11-22"
FREE = {
    "pair",
    "timeframe",
    "oos_sharpe_ratio",
    "oos_net_profit",
    "max_drawdown",
    "sample_size",
    "optimizer",
    "seed",
    "first_day",
    "last_day",
    "p_value",
    "created_at",
    "switched_at",
    "at",
    "dispatcher_beat_age",
}
PAGE = (ROOT / "docs/api.md").read_text("utf-8")
MESSAGES = re.findall(r"^```http\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = list(zip(MESSAGES[::2], MESSAGES[1::2], strict=True))


@pytest.fixture
def service(trained_service):
    return trained_service


def parts(message):
    """First line, headers and body of a message."""
    head, _, body = message.partition("\n\n")
    first, *lines = head.strip().split("\n")
    return first.split(), dict(line.split(": ", 1) for line in lines), body


def assert_as_written(written, real, name=""):
    if written == "...":
        return
    if name in FREE:
        assert type(real) is type(written), name
    elif isinstance(written, dict):
        assert "..." in written or written.keys() == real.keys(), name
        for key in written.keys() - {"..."}:
            assert_as_written(written[key], real[key], key)
    elif isinstance(written, list):
        assert len(written) == len(real), name
        for one, other in zip(written, real, strict=True):
            assert_as_written(one, other)
    else:
        assert written == real, name


def test_the_examples_are_asked_and_answered_as_written(client, stored):
    known = {"ID": stored().rpartition("/")[2]}
    listed = client.get("/api/configurations").json()["configurations"]
    (known["JOB"],) = [one["job_id"] for one in listed if one["id"] == known["ID"]]
    known[DAY] = f"{datetime.now(UTC):%Y-%m-%d}"

    def filled(text):
        return re.sub(rf"\b(ID|JOB|TAG2?|{DAY}(?!T))\b", lambda found: known[found[1]], text)

    assert len(EXAMPLES) == 9
    for request, expected in EXAMPLES:
        (method, target), headers, body = parts(filled(request))
        answer = client.request(method, target, headers=headers, content=body)
        if tag := answer.headers.get("etag", "").strip('"'):
            known["TAG" if known.setdefault("TAG", tag) == tag else "TAG2"] = tag
        (_, status), headers, body = parts(filled(expected))
        assert answer.status_code == int(status), answer.text
        for name, value in headers.items():
            assert answer.headers[name] == value
        if body:
            assert_as_written(json.loads(body), answer.json())
        else:
            assert answer.content == b""
