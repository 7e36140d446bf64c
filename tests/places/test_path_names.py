"""Folders may have any name, wherever a configuration names one."""

import shlex
import sqlite3
import subprocess
from contextlib import closing

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import explain, sweep
from pipeline.cli.arguments import Parser
from pipeline.config import (
    FetchConfig,
    ServeConfig,
    StorageConfig,
    StorageOnly,
    StoredConfig,
    TrainConfig,
    load,
    typed,
)
from pipeline.config.catalogue import in_quotes
from pipeline.errors import UserError
from pipeline.queue import supervisor
from pipeline.report import __main__ as report
from pipeline.results.access.address import parse_url
from pipeline.web.service import composing
from pipeline.web.service.requests import TrainingRequest
from support.own_strategy import own_file
from support.runs import QUICK, run_here
from support.serving import served, until
from support.stored import command

NASTY = """a b'c,d=e#f?g%20{h}$i${j}[k](l)"m:n;é漢~`\\"""

#: Any name that a folder can have, and more of what some grammar gives a meaning.
names = st.text(
    st.one_of(
        st.sampled_from("${}[]()'\"\\ ,=:;#?%&@~`|*+-._ab1"),
        st.characters(exclude_characters="/\0", exclude_categories=["Cs", "Cc"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60)
@given(name=names)
def test_a_name_in_quotes_is_read_as_it_is(name):
    config = load([f"storage.artifacts={in_quotes(name)}"], StorageOnly, "stored")
    assert config.storage.artifacts == name


@pytest.mark.slow
@settings(max_examples=3_000)
@given(name=names)
def test_many_names_in_quotes_are_read_as_they_are(name):
    config = load([f"storage.artifacts={in_quotes(name)}"], StorageOnly, "stored")
    assert config.storage.artifacts == name


def _read_back(name):
    """What `scripts/store` reads of the command that names a folder and two places."""
    storage = StorageConfig(url=f"sqlite:///{name}", artifacts=name, patience=1)
    program, *words = shlex.split(typed("scripts/store", f"/{name}", **storage.places))
    folder, *overrides = Parser("store", "", "", StorageOnly, "store").read(words).words
    places = load(overrides, StorageOnly, "store").storage
    return program, folder, places.url, places.artifacts


@settings(max_examples=60)
@given(name=names)
def test_a_printed_command_is_read_as_it_was_meant(name):
    assert _read_back(name) == ("scripts/store", f"/{name}", f"sqlite:///{name}", name)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(name=names)
def test_many_printed_commands_are_read_as_they_were_meant(name):
    assert _read_back(name) == ("scripts/store", f"/{name}", f"sqlite:///{name}", name)


@pytest.mark.parametrize(
    "name", [NASTY, "a {b}", "it's", "a\\'b\\", "$x `y` !!", "null", "1e5", "~/a"]
)
def test_a_shell_reads_a_printed_command_as_python_does(name):
    line = typed("printf", "%s\\0", name, **{"storage.artifacts": name})
    shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    first, word, _ = shown.split("\0")
    assert (first, word) == (name, shlex.split(line)[-1])
    assert load([word], StorageOnly, "stored").storage.artifacts == name


@settings(max_examples=40)
@given(name=names)
def test_a_file_of_sqlite_is_what_follows_the_slashes(name):
    assert parse_url(f"sqlite:////there/{name}/x.db").database == f"/there/{name}/x.db"


@pytest.mark.parametrize("name", ["/a/${j}/x", "/a/${j}b=c", "/a b/\\${j}=", "it's ${x:1} $y `z`"])
def test_the_advice_on_a_name_with_a_key_in_it_works(name):
    with pytest.raises(UserError) as caught:
        load([f"storage.artifacts={name}"], StorageOnly, "stored")
    typed = str(caught.value).partition("type ")[2].rstrip(".")
    word = subprocess.run(["sh", "-c", f"printf %s {typed}"], capture_output=True, text=True).stdout
    assert load([word], StorageOnly, "stored").storage.artifacts == name


MARKET = ("market=btc_binance_1h", "data=file")
PLACES = (
    ("data.path", (TrainConfig, "train", *MARKET), lambda c: c.data.path),
    ("data.store", (TrainConfig, "train", "market=btc_binance_1h"), lambda c: c.data.store),
    ("import", (FetchConfig, "fetch", "market=btc_binance_1h"), lambda c: c.import_path),
    ("token_file", (ServeConfig, "serve"), lambda c: c.token_file),
    ("store", (ServeConfig, "serve"), lambda c: c.store),
    ("storage.artifacts", (StoredConfig, "stored"), lambda c: c.storage.artifacts),
)


@pytest.mark.parametrize(("key", "start", "read"), PLACES, ids=[key for key, *_ in PLACES])
def test_a_place_of_the_configuration(key, start, read):
    schema, name, *words = start
    assert read(load([*words, f"{key}={in_quotes(NASTY)}"], schema, name)) == NASTY


def test_a_server_hands_its_places_on(monkeypatch):
    storage = StorageConfig(url=f"sqlite:///{NASTY}/x.db", artifacts=NASTY, patience=1)
    request = TrainingRequest(markets=["btc_binance_1h"])
    (config,) = composing.compose(request, storage, NASTY).values()
    assert (config.storage, config.data.store) == (storage, NASTY)
    started = []
    monkeypatch.setattr(supervisor.subprocess, "Popen", lambda words, **_: started.append(words))
    supervisor.start(storage, 1, None)
    (artifacts,) = [word for word in started[0] if word.startswith("storage.artifacts=")]
    assert load([artifacts], StorageOnly, "stored").storage.artifacts == NASTY


@pytest.fixture
def nasty(tmp_path):
    """A folder, and the words that name places in it."""
    folder = tmp_path / NASTY
    folder.mkdir()
    own_file(folder)
    (folder / "goal.py").write_text("def score(metrics):\n    return metrics['net_profit']\n")
    places = {
        "storage.url": f"sqlite:///{folder}/results.db",
        "storage.artifacts": f"{folder}/artifacts",
    }
    return folder, [f"{key}={in_quotes(value)}" for key, value in places.items()]


def test_a_training_a_sweep_and_what_is_stored(nasty, tmp_path):
    folder, storage = nasty
    own = [
        f"objective={in_quotes(f'{folder}/goal.py')}",
        f"strategy={in_quotes(f'{folder}/mine.py')}",
    ]
    training = [
        *QUICK[1:],
        "optimizer=random",
        "optimizer.samples=20",
        *own,
        *storage,
    ]
    trained = run_here(tmp_path, "market=demo_null", *training)
    assert trained.status == 0, trained.err
    assert command(explain, tmp_path, "latest", *storage).status == 0
    (folder / "kind").mkdir()
    (folder / "kind/seeded.yaml").write_text("# @package _global_\nseed: 7\n")
    settled = ["--config-dir", str(folder), "+kind=seeded"]
    swept = command(sweep, tmp_path, *settled, "markets=demo_null", *training)
    assert swept.status == 0, swept.err
    page = folder / "page.html"
    assert command(report, tmp_path, "latest", *storage, "-o", str(page)).status == 0
    assert page.exists()
    with closing(sqlite3.connect(folder / "results.db")) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM trained_configurations")]
    kept = {path.name for path in (folder / "artifacts").iterdir()} - {"unstored"}
    assert kept == set(ids)


@pytest.mark.slow
def test_a_server_and_its_dispatcher(nasty, tmp_path):
    folder, storage = nasty
    words = [*storage, f"store={in_quotes(f'{folder}/candles')}"]
    url = f"sqlite:///{folder}/results.db"
    request = {
        "markets": ["demo_null"],
        "history": {"days": 200},
        "optimizer": {"method": "random", "samples": 20},
    }
    with served(tmp_path, *words, url=url) as (_, address), httpx.Client(base_url=address) as web:
        (job,) = web.post("/api/training/start", json=request).json()["job_ids"]
        path = f"/api/training/jobs/{job}"
        until(lambda: web.get(path).json()["status"] not in ("pending", "running"))
        assert web.get(path).json()["status"] == "completed"
    assert any((folder / "artifacts").iterdir())
