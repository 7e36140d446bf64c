"""Names of candle files: the word that is said can be typed into a shell, at both doors."""

import subprocess

import pytest

from pipeline.config import FetchConfig, TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.market_files import read_market_files
from support.candle_files import random_candles, write


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow)


NAMES = [
    "BTC [1].csv",
    "{a}, b=c & d.csv",
    "Kürse~'$x`.csv",
    *map(
        slow,
        [
            "[1].csv",
            "BTC (1).csv",
            "{BTC}.csv",
            "R&D.csv",
            "~.csv",
            "a, b.csv",
            "a=b.csv",
            "it's mine.csv",
            '"quoted".csv',
            "50% #1; $x `y`.csv",
            "$HOME ${x}.csv",
            "back\\slash.csv",
            "漢 * ?.csv",
            "-m.csv",
            "null",
        ],
    ),
]
DOORS = {
    "import": (FetchConfig, "fetch", lambda config: config.import_path, []),
    "data.path": (TrainConfig, "train", lambda config: config.data.path, ["data=file"]),
}


@pytest.fixture(params=list(DOORS))
def door(request):
    return request.param


def path_of(word, door):
    """What the command takes of a word as it is said, typed into a shell."""
    shell = subprocess.run(["sh", "-c", f"printf %s {word}"], capture_output=True, text=True)
    schema, command, path, words = DOORS[door]
    return path(load(["market=btc_binance_5m", *words, shell.stdout], schema, command))


def said_of(path, door):
    with pytest.raises(UserError) as caught:
        read_market_files(Request(path, "binance", "BTC/USDT", "5m", door))
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_misspelt_is_said_as_it_can_be_typed(tmp_path, name, door):
    """An x at its end is taken away; names in letters and points are typed as they stand."""
    (tmp_path / name).touch()
    said = said_of(tmp_path / f"{name}x", door)
    assert f"Did you mean '{name}'?" in said
    if "Then type" in said:
        assert path_of(said.partition("Then type ")[2], door) == str(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["R&D.csv", *map(slow, ["BTC 2023.csv", "a;b.csv", "BTC(1).csv", "#1 (2).csv"])]
)
def test_a_word_that_the_shell_has_cut(tmp_path, name, door):
    (tmp_path / name).touch()
    start = next(at for at, sign in enumerate(name) if sign in " &;(" and at)
    said = said_of(tmp_path / name[:start], door)
    assert path_of(said.partition("Then type ")[2], door) == str(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_a_word_as_it_stands_is_read_or_the_right_one_is_said(tmp_path, name, door):
    """Typed without the quotes that the program itself needs, as who knows the shell alone does."""
    schema, command, path, words = DOORS[door]
    given = f"{tmp_path}/{name}"
    try:
        config = load(["market=btc_binance_5m", *words, f"{door}={given}"], schema, command)
    except UserError as error:
        word = str(error).partition("To take it as it stands, type ")[2].removesuffix(".")
        assert path_of(word, door) == given
    else:
        assert path(config) == given


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_file_of_any_name_is_read(tmp_path, name, door):
    candles = random_candles(1, 50, 300_000)
    path = write(tmp_path / name, candles)
    assert len(read_market_files(Request(path, "binance", "BTC/USDT", "5m", door)).raw) == len(
        candles
    )
