"""Receivers come from the environment or a file; what is wrong is said without repeating it."""

import pytest

from pipeline.config import NotifyConfig
from pipeline.errors import UserError
from pipeline.notices import targets
from pipeline.notices.targets import targets_of
from support.receiver import HIDDEN, SECRET

HOOK = f"https://user:{HIDDEN}@example.org/{HIDDEN}"


@pytest.fixture(autouse=True)
def no_receivers(monkeypatch):
    for name in ("NOTIFY_WEBHOOK", "NOTIFY_SECRET", "NOTIFY_APPRISE"):
        monkeypatch.delenv(name, raising=False)


def names(file=None):
    return [target.name for target in targets_of(NotifyConfig(events=["job"], secrets=file))]


def refusal(file=None):
    with pytest.raises(UserError) as caught:
        names(file)
    return str(caught.value)


def test_nobody_is_told_by_default():
    assert names() == []


def test_several_are_numbered(monkeypatch):
    monkeypatch.setenv("NOTIFY_WEBHOOK", f"{HOOK} {HOOK}2")
    monkeypatch.setenv("NOTIFY_SECRET", SECRET)
    monkeypatch.setenv("NOTIFY_APPRISE", f"json://{HIDDEN}/x jsons://{HIDDEN}/y")
    assert names() == ["webhook 1", "webhook 2", "apprise 1", "apprise 2"]


def test_a_file_takes_the_place_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_APPRISE", "json://elsewhere")
    file = tmp_path / "secrets"
    file.write_text(f"# mine\n\nNOTIFY_SECRET = {SECRET}\nNOTIFY_WEBHOOK={HOOK}\n")
    assert names(str(file)) == ["webhook 1"]
    file.write_text(f"NOTIFY_WEBHOOK={HOOK}\nNOTIFY_TOKEN={HIDDEN}\n")
    said = refusal(str(file))
    assert "line 2" in said
    assert HIDDEN not in said
    assert "No such file" in refusal(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"NOTIFY_WEBHOOK": HOOK}, "NOTIFY_SECRET"),
        ({"NOTIFY_WEBHOOK": HOOK, "NOTIFY_SECRET": f"whsec_{HIDDEN}"}, "NOTIFY_SECRET"),
        ({"NOTIFY_WEBHOOK": HIDDEN, "NOTIFY_SECRET": SECRET}, "Address 1 of NOTIFY_WEBHOOK"),
        ({"NOTIFY_APPRISE": f"json://h {HIDDEN}://x"}, "Address 2 of NOTIFY_APPRISE"),
        ({"NOTIFY_APPRISE": f"tgram://{HIDDEN}"}, "Address 1 of NOTIFY_APPRISE"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(monkeypatch, capfd, variables, word):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = refusal()
    assert word in said
    out, err = capfd.readouterr()
    for secret in (HIDDEN, SECRET):
        assert secret not in said + out + err


def test_without_apprise_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setattr(targets, "find_spec", lambda name: None)
    monkeypatch.setenv("NOTIFY_APPRISE", f"json://{HIDDEN}")
    said = refusal()
    assert "notify" in said
    assert "apprise" in said
    assert HIDDEN not in said
