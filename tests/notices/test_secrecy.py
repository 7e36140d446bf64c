"""No address and no secret is in the database, in what is printed, or in what a job sees."""

import base64
import subprocess
import sys
from datetime import timedelta

import pytest

from pipeline.config import StorageConfig
from pipeline.notices import __main__ as notices
from pipeline.notices import sender
from pipeline.notices.sender import sending
from pipeline.queue import supervisor
from pipeline.results.database import open_database
from pipeline.results.tables.live_models import LiveEvent
from support.receiver import HIDDEN, SECRET

SECRETS = (HIDDEN, SECRET, SECRET.removeprefix("whsec_"), base64.b64decode(SECRET[6:]).hex())


def assert_hidden(text):
    assert not [secret for secret in SECRETS if secret in text]


@pytest.fixture
def database(tmp_path):
    return f"sqlite:///{tmp_path}/results.db"


def test_a_receiver_that_fails_leaves_no_trace(
    database, tmp_path, config, hook, monkeypatch, capfd, caplog
):
    caplog.set_level("DEBUG")
    monkeypatch.setattr(sender, "REST", timedelta(milliseconds=1))
    monkeypatch.setenv("NOTIFY_APPRISE", hook.url.replace("http://", "json://"))
    answers = [500, 404, None, 302]
    hook.answer = lambda request: answers[len(hook.requests) % 4]
    told = []
    with open_database(database) as repository, sending(repository, config, told.append):
        while len(repository.outbox.states()) < 2:
            pass
        repository.live.note(LiveEvent("enter", f"number {n}") for n in range(4))
        hook.wait(8)
        assert any(state.error for state in repository.outbox.states())
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"it answered" in stored
    out, err = capfd.readouterr()
    assert_hidden(out + err + caplog.text + "".join(told) + stored.decode("latin-1"))


@pytest.mark.parametrize("words", [["--test"], ["--test", "--json"], []])
def test_the_command_says_what_happened_and_no_address(database, hook, capsys, words):
    with open_database(database) as repository:
        repository.outbox.begin("webhook 1", ["job"])
    hook.answer = lambda request: 403
    assert notices.main([*words, f"storage.url={database}"]) == (1 if words else 0)
    out, err = capsys.readouterr()
    assert ("403" in out) == bool(words)
    assert_hidden(out + err)
    hook.answer = lambda request: 200
    assert notices.main([*words, f"storage.url={database}"]) == 0
    assert "webhook 1" in capsys.readouterr().out


def test_a_job_does_not_see_them(monkeypatch, hook, tmp_path):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **rest: started.append((words, rest)))
    storage = StorageConfig(url="sqlite:///x.db", artifacts=str(tmp_path), patience=0)
    supervisor.start_module("pipeline.dispatch", [], storage, subprocess.DEVNULL)
    ((words, rest),) = started
    assert words[0] == sys.executable
    assert_hidden(f"{words} {rest['env']}")
    assert not [name for name in rest["env"] if name.startswith("NOTIFY_")]


def test_a_word_that_holds_one_is_no_key(hook, capsys):
    for word in ("notify.webhook=x", "notify.secret=x"):
        with pytest.raises(Exception, match="is not a key"):
            notices.main([word])
