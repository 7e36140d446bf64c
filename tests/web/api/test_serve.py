"""The real server: where it listens, what it refuses, and how it ends."""

import signal

import httpx2 as httpx
import pytest

from pipeline.errors import UserError
from pipeline.serve import bound, token
from support.serving import command, served

TOKEN = "correct-horse-battery-staple"


@pytest.fixture
def heard():
    """Let a child hear SIGHUP, which `nohup` has ignored."""
    before = signal.signal(signal.SIGHUP, signal.default_int_handler)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [(signal.SIGHUP, 143, "terminated"), (signal.SIGINT, 130, "cancelled")],
)
def test_it_answers_and_ends_when_told(tmp_path, heard, end, status, said):
    with served(tmp_path) as (process, address):
        assert httpx.get(f"{address}/api/training/jobs").json()["jobs"] == []
        assert httpx.get(f"{address}/api/openapi.json").status_code == 200
        assert refuses_a_long_header(address)
        process.send_signal(end)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == status
    assert said in errors
    assert "Traceback" not in errors


def refuses_a_long_header(address):
    try:
        return httpx.get(address, headers={"x-long": "a" * 200_000}).status_code == 400
    except httpx.TransportError:  # it hangs up while the rest is still being sent
        return True


def test_with_a_token_it_answers_only_those_who_have_it(tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    with served(tmp_path, "host=0.0.0.0", "token_file=token") as (_, address):
        here = address.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{here}/api/training/jobs").status_code == 401
        assert httpx.get(here).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{here}/api/training/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["host=0.0.0.0"], "needs an API token"),
        (["port=70000"], "port must be at most 65,535"),
        (["token_file=nothing"], "token_file=nothing cannot be read"),
        (["prot=1"], "Did you mean 'port'?"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path, words, said):
    process = command(tmp_path, *words)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_it_ends_when_its_database_is_deleted(tmp_path):
    process = command(tmp_path, "port=0")
    assert process.stdout.readline().startswith("Serving on ")
    for file in (tmp_path / "var").glob("trainings.db*"):
        file.unlink()
    _, errors = process.communicate(timeout=120)  # its dispatcher ends by itself likewise
    assert process.returncode == 1
    assert "var/trainings.db was deleted, moved or replaced, so this server has ended." in errors
    assert "start the server again" in errors
    assert "terminated" not in errors


def test_an_address_that_is_taken_is_said():
    with (
        bound("127.0.0.1", 0) as taken,
        pytest.raises(UserError, match="Choose another with port=NUMBER"),
    ):
        bound("127.0.0.1", taken.getsockname()[1])


def test_an_empty_token_file_is_refused(tmp_path):
    (tmp_path / "token").write_text("\n")
    with pytest.raises(UserError, match="is empty"):
        token(str(tmp_path / "token"))


def test_the_environment_may_hold_the_token(monkeypatch):
    monkeypatch.setenv("API_TOKEN", TOKEN)
    assert token(None) == TOKEN
    monkeypatch.setenv("API_TOKEN", "")
    assert token(None) is None
