"""Run the commands of the pages, and check that what the pages name exists.

Commands in a fence need an exchange, a GPU or a FILE, or show a refusal: only their configuration
is composed, or their ``--help`` is run if they have none. All others run for real, in an empty
folder with ``../shared`` beside it. A command on a stored configuration runs in the folder of the
training that its page shows before it.
"""

import fnmatch
import functools
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import explain, export, monitor, new_strategy, verify
from pipeline.config import CONFIG_DIR, BacktestConfig, FetchConfig, TrainConfig, catalogue, load
from pipeline.config.commands import ServeConfig
from pipeline.errors import UserError
from pipeline.report import __main__ as report
from support.documents import PAGES, ROOT, commands, fences, inline
from support.runs import run_here
from support.stored import command as stored_command
from support.sweeping import sweep_here

SHARED = (ROOT / "../shared").resolve()
SCHEMAS = {
    "scripts/train": (TrainConfig, "train"),
    "scripts/backtest": (BacktestConfig, "backtest"),
    "scripts/fetch": (FetchConfig, "fetch"),
    "scripts/serve": (ServeConfig, "serve"),
}
#: Programs that read what a training has stored.
STORED = {f"scripts/{name}" for name in ("explain", "verify", "monitor", "report", "export")}
#: How a command is run without a process of its own.
DOORS = {
    "train": run_here,
    "backtest": functools.partial(run_here, command="backtest"),
    "sweep": sweep_here,
    "explain": functools.partial(stored_command, explain),
    "verify": functools.partial(stored_command, verify),
    "monitor": functools.partial(stored_command, monitor),
    "report": functools.partial(stored_command, report),
    "export": functools.partial(stored_command, export),
}

COMMANDS = commands()
REAL = sorted({command.text for command in COMMANDS if not command.fenced})
FENCED = [command for command in COMMANDS if command.fenced]
QUOTED = sorted({words for page in PAGES for words in inline(page)})
PROGRAM = re.compile(r"(scripts/[\w-]+|python -m pipeline\.\w+)(?: .*)?")
PROGRAMS = sorted(
    {m[1] for words in [*QUOTED, *(c.text for c in COMMANDS)] if (m := PROGRAM.fullmatch(words))}
)


#: What makes a search long; each has tests of its own.
LONG = (
    "surrogates=true",
    "space=continuous",
    "strategies=",
    "executor=processes",
    "demo,demo_null",
)


def marked(text):
    """Mark a command slow unless it is a quick random search or reads what is stored."""
    quick = "optimizer=random" in text and not any(words in text for words in LONG)
    if quick or split(text)[0] in STORED:
        return text
    return pytest.param(text, marks=pytest.mark.slow)


def split(text):
    """Return the program and its arguments."""
    words = shlex.split(text)
    return (words[2], words[3:]) if words[0] == "python" else (words[0], words[1:])


def configurations(text):
    """Return the configurations that the arguments compose: one a job, several with ``-m``."""
    program, arguments = split(text)
    schema, name = SCHEMAS[program]
    several = "-m" in arguments or program == "scripts/fetch"
    choices = [
        [word] if not several or "=[" in word else _alternatives(word)
        for word in arguments
        if word != "-m"
    ]
    return [load(overrides, schema, name) for overrides in itertools.product(*choices)]


def _alternatives(override):
    key, _, values = override.partition("=")
    if (key, values) == ("market", "all"):
        return [f"{key}={name}" for name in catalogue.select_markets(["all"])]
    if values.startswith("glob(["):
        names = (path.stem for path in (CONFIG_DIR / key).glob("*.yaml"))
        patterns = values.removeprefix("glob([").removesuffix("])").split(",")
        chosen = [n for n in names if any(fnmatch.fnmatch(n, pattern) for pattern in patterns)]
        return [f"{key}={name}" for name in chosen]
    return [f"{key}={value}" for value in values.split(",")]


def training_before(text):
    """Return the last training that the page shows before a command on what it stored."""
    (page,) = {c.page for c in COMMANDS if c.text == text}
    shown = [c.text for c in COMMANDS if c.page == page and not c.fenced]
    return [t for t in shown[: shown.index(text)] if t.startswith("scripts/train")][-1]


def shortened(text):
    """Return what is added to a command, so that it takes seconds: evidence of few searches.

    Of trainings, to the random searches of generated candles: no page quotes what they print.
    """
    searches = text.startswith("scripts/train") and "optimizer=random" in text
    few = text.startswith("scripts/sweep") or (searches and "market=demo" in text)
    own = ("optimizer.samples=50",) if "my_breakout.py" in text else ()
    return (*own, "validation.surrogate_count=20") if few else ()


def execute(text, folder):
    """Run a command in ``folder``, through its own door in this process where it has one.

    That every program starts as a process is what the tests of ``--help`` show.
    """
    program, arguments = split(text)
    door = DOORS.get(re.split(r"[./]", program)[-1])
    if door is None:
        return start(text, folder)
    finished = door(folder, *arguments, *shortened(text))
    return subprocess.CompletedProcess(text, finished.status, finished.out, finished.err)


def start(text, folder):
    """Run a command as a process, as a person would beside the repository's neighbours."""
    words = shlex.split(text)
    words[0] = sys.executable if words[0] == "python" else str(ROOT / words[0])
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Return what a command of the pages did; each runs once."""
    finished, folders = {}, {}

    def prepared(text):
        if split(text)[0] in STORED:
            training = training_before(text)
            assert outcome(training).returncode == 0
            return folders[training]
        folder = tmp_path_factory.mktemp("docs")
        (folder / "shared").symlink_to(SHARED)
        (folder / "here").mkdir()
        if "my_breakout.py" in text:
            new_strategy.main(["my_breakout", str(folder / "here")])
        return folder / "here"

    def outcome(text):
        if "../shared/" in text and not (SHARED / "data").is_dir():
            pytest.skip("no folder shared/data beside the repository")
        if text not in finished:
            folders[text] = prepared(text)
            finished[text] = execute(text, folders[text])
        return finished[text]

    return outcome


def test_the_pages_have_commands_of_both_kinds():
    assert "scripts/train market=demo optimizer=bayesian" in REAL
    assert "scripts/train market=eth_binance_1h optimizer=random" in [c.text for c in FENCED]


@pytest.mark.parametrize("text", REAL)
def test_what_runs_for_real_is_complete_and_asks_no_exchange(text, tmp_path, monkeypatch):
    if "my_breakout.py" in text:
        new_strategy.main(["my_breakout", str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    assert not re.search(r"\.\.\.|\b(?:ARGS|DIR|FILE|NAME|VALUE|GOLDEN)\b|\\$", text)
    if split(text)[0] in SCHEMAS:
        assert {config.data.source for config in configurations(text)} <= {"file", "synthetic"}


@pytest.mark.parametrize("text", [marked(text) for text in REAL])
def test_a_command_runs(outcome, text):
    finished = outcome(text)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()


@pytest.mark.parametrize(
    "command",
    # tests/config/test_settings_page.py composes those that read files of the page.
    [c for c in FENCED if split(c.text)[0] in SCHEMAS and "--config-dir" not in c.text],
    ids=lambda command: command.text,
)
def test_a_fenced_command_is_configured_as_the_page_says(command):
    if not command.output:
        assert configurations(command.text)
        return
    with pytest.raises(UserError) as refused:
        configurations(command.text)
    assert str(refused.value).split() == " ".join(command.output).split()


def script_of(program):
    """Return the script that does no more than start a module; None of a script."""
    return program.replace("python -m pipeline.", "scripts/") if " " in program else None


@pytest.fixture(scope="module")
def helped(tmp_path_factory):
    """Return what a program prints for ``--help``."""
    folder = tmp_path_factory.mktemp("help")
    return functools.cache(lambda program: start(f"{program} --help", folder))


@pytest.mark.parametrize("program", [p for p in PROGRAMS if script_of(p) not in PROGRAMS])
def test_a_program_that_is_named_has_help(helped, program):
    finished = helped(program)
    assert finished.returncode == 0
    assert finished.stdout.lower().startswith("usage: ")


def plain(text):
    """Return the lines without their frames, words one space apart."""
    lines = (" ".join(re.sub("[─━│┃┏┓┗┛┡┩└┘┬┴┳┻╇┼├┤]+", " ", line).split()) for line in text)
    return [line for line in lines if line]


def assert_excerpt(fence, stdout):
    """Every line of an excerpt is a line of the output; a new run has a new id."""
    expected = [line for line in plain(fence) if line != "..." and "Stored as " not in line]
    assert expected
    printed = plain(stdout.splitlines())
    assert [line for line in expected if line not in printed] == []


@pytest.mark.slow
def test_the_first_screen_is_what_the_command_prints(outcome):
    finished = outcome("scripts/train market=demo optimizer=bayesian")
    (excerpt,) = [f for f in fences(PAGES[0]) if f[0].startswith("SYNTHETIC")]
    assert_excerpt(excerpt, finished.stdout)
    assert re.search(r"\nStored as LIQUIDITY_SWEEP_V3_\d{8}_\d{6}_[0-9a-f]{6} in ", finished.stdout)


@pytest.mark.slow
def test_the_worked_example_is_what_the_command_prints(outcome):
    (text,) = [t for t in REAL if t.startswith("scripts/train market=btc_binance_5m")]
    finished = outcome(text)
    (excerpt,) = [f for f in fences(ROOT / "docs/training.md") if f[0].startswith("Candles: ")]
    assert_excerpt(excerpt, finished.stdout)


def test_the_explained_example_is_what_the_command_prints(outcome):
    finished = outcome("scripts/explain latest")
    (excerpt,) = [f for f in fences(ROOT / "docs/monitoring.md") if f[0].startswith("DISCOVERY")]
    assert_excerpt(excerpt, finished.stdout)


def test_the_file_of_ones_own_is_what_the_command_writes(tmp_path):
    new_strategy.main(["my_breakout", str(tmp_path)])
    written = (tmp_path / "my_breakout.py").read_text("utf-8").splitlines()
    assert written in fences(ROOT / "docs/your-own-strategy.md")


def test_every_script_is_in_the_readme():
    scripts = {f"scripts/{p.name}" for p in (ROOT / "scripts").iterdir() if os.access(p, os.X_OK)}
    assert scripts == {program for program in PROGRAMS if program.startswith("scripts/")}
    readme = PAGES[0].read_text("utf-8")
    assert [name for name in sorted(scripts) if f"`{name}" not in readme] == []


def _paths(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")


def known_keys():
    """Return the dotted paths of every key in any choice, and the choices' own words."""
    keys = set()
    for path in CONFIG_DIR.rglob("*.yaml"):
        group = path.parent.relative_to(CONFIG_DIR).as_posix().replace("/", ".")
        group = {".": "", "exchange": "market.exchange."}.get(group, f"{group}.")
        keys |= {group[:-1], *_paths(yaml.safe_load(path.read_text("utf-8")), group)}
    template = str(ROOT / "pipeline/strategies/template.py")  # the pages' own file
    for word in [*catalogue.words("strategy"), template]:
        keys |= set(_paths({g: catalogue.read(g, word) for g in catalogue.DECLARED}))
    return keys - {""}


KEY = re.compile(r"(?:^|(?<= ))([a-z_]+(?:\.[A-Za-z_*]+)*)=(\S+)")
PLACEHOLDER = re.compile(r"\.(?:NAME|X|\*)$")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_key_and_choice_that_is_named_exists(page):
    keys = known_keys()
    name = page.relative_to(ROOT).as_posix()
    texts = [*inline(page), *(c.text for c in COMMANDS if c.page == name and not c.output)]
    assigned = [pair for text in texts for pair in KEY.findall(text)]
    dotted = [t for t in texts if re.fullmatch(r"(data|risk|storage|validation)\.[a-z_.*]+", t)]
    named = [PLACEHOLDER.sub("", key) for key in [*dict(assigned), *dotted]]
    assert [key for key in named if key not in keys] == []
    own = re.findall(r"`my_settings/\w+/(\w+)\.yaml`", page.read_text("utf-8"))
    for key, values in assigned:
        if (CONFIG_DIR / key).is_dir() and re.fullmatch(r"[\w,]+", values):
            for value in set(values.split(",")) - {*own, catalogue.ALL}:
                assert (CONFIG_DIR / key / f"{value}.yaml").exists(), f"{key}={value}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" not in target:
            path, _, heading = target.partition("#")
            place = page.parent / path if path else page
            assert place.exists(), target
            if heading:
                headings = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
                assert heading in slugs, target


PLACE = re.compile(r"(?<![\w./])(?:conf|docs|gpu_engine|pipeline|scripts|sql|tests)/[\w./-]*\w")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_and_folder_that_is_named_exists(page):
    fenced = (line for fence in fences(page) for line in fence)
    named = {place for text in [*inline(page), *fenced] for place in PLACE.findall(text)}
    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []


def test_the_tree_of_the_readme_has_every_folder():
    (tree,) = [fence for fence in fences(PAGES[0]) if fence[0].startswith("conf/")]
    shown = re.findall(r"^ {0,2}(\w+)/ +\w", "\n".join(tree), re.MULTILINE)
    inside = [folder.parent.name for folder in (ROOT / "pipeline").glob("*/__init__.py")]
    assert sorted(shown) == sorted(
        ["conf", "docs", "gpu_engine", "pipeline", "scripts", "sql", "tests", *inside]
    )


def tracked():
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_this_machine_or_a_registry():
    here = "|".join(re.escape(str(place)) for place in {ROOT, SHARED, Path.home()})
    machine = re.compile(rf"(?<![\w.])(?:{here})(?![\w-])")
    registry = re.compile(r"https?://\S*(?:simple|pypi|artifactory|nexus|registry)|index[-_]url")
    for path in tracked():
        text = path.read_text("utf-8", errors="replace")
        assert not machine.search(text), path
        assert path == Path(__file__) or not registry.search(text), path
