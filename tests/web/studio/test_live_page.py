"""The page Live: what is switched on, as it trades on paper, and its switches."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.results.database import open_database
from pipeline.results.tables.live_models import ALARM, LiveEvent, PaperAccount
from pipeline.validation.stages import judge
from pipeline.web.studio.pages.live import _paper
from support.contrast import poor
from support.narrow import cut_off
from support.signals import a_signal, copy_of, follow, newest_close

NAME = "LIQUIDITY_SWEEP_V3_20230102_000000_{:06x}"
GOOD = {"surrogate_p": 0.01, "p_value": 0.01, "reality_check_p": 0.01, "sample_size": 500}
GOOD |= {"net_profit": 0.4, "sharpe_ratio": 2.0, "beta": 0.0}


@pytest.fixture(scope="module")
def repository(server, folder):
    with open_database(f"sqlite:///{folder}/var/trainings.db", 60.0) as repository:
        yield repository


@pytest.fixture(scope="module")
def mature(repository):
    """A configuration that is MATURE, switched off."""
    found = repository.configurations.find(limit=1)[0]
    stage, gates = judge(GOOD)
    return copy_of(
        repository,
        found,
        NAME.format(1),
        synthetic=False,
        lifecycle_stage=stage,
        exchange="binance",
        pair="BTC/USDT",
        timeframe="5m",
        gates=[gate.to_dict() for gate in gates],
        document={"status": stage, "pair": "BTC/USDT"},
    )


@pytest.fixture
def switched_on(repository, mature):
    """Two that are followed, one of them with a position; both are off at the end."""
    swept = repository.configurations.find(exchange="binance", timeframe="1h", limit=1)[0]
    for one, days in ((swept, 60), (mature, 30)):
        repository.configurations.set_active(one.id, True, "a test of it", forced=True)
        if repository.live.account(one.id) is None:
            follow(repository, one.id, trades=5, days=days)
    closed = newest_close("5m")
    position = {
        "side": "long",
        "entered": (closed - timedelta(hours=1)).isoformat(),
        "entry": 99.0,
        "stop": 95.0,
        "target": 105.0,
        "stop_in_force": 97.5,
        "best": 101.0,
        "gain": 0.0101,
        "leaves_by": None,
    }
    signal = a_signal(mature, closed, action="hold", position=position)
    repository.live.keep_signals({mature.id: signal})
    alarm = LiveEvent(ALARM, "The live days fall short of the promise.", mature.id)
    repository.live.note([alarm])
    yield swept, mature
    for one in (swept, mature):
        repository.configurations.set_active(one.id, False, "the test is over")
    repository.live.drop_signals([mature.id])


def card(page, text="binance:BTC/USDT:5m"):
    return page.locator("li.job", has_text=text).first


@pytest.mark.parametrize(
    ("trades", "called", "words", "unsaid"),
    [
        (0, 0, "no trade closed since 2026-10-01", " %"),
        (3, 0, "+3.0 % in 3 closed trades since 2026-10-01", "the 0 that"),
        (3, 1, "+1.0 % in the 1 that", "none"),
        (3, 3, "+3.0 % in 3 closed trades since 2026-10-01", "called"),
    ],
)
def test_of_no_trades_no_share_is_said(trades, called, words, unsaid):
    began = datetime(2026, 10, 1, tzinfo=UTC)
    account = PaperAccount(
        "x", began, began, began, None, trades, 1.03 if trades else 1.0, called, 1.01
    )
    said = _paper(account)
    assert words in said
    assert unsaid not in said


def test_the_empty_page_says_what_to_do_and_switches_on(watched, repository, mature):
    person = watched(viewport={"width": 1440, "height": 900})
    page = person.open("/live")
    page.get_by_text("Nothing is switched on. Choose a configuration below").wait_for()
    page.get_by_role("combobox", name="configuration").fill(mature.id)
    ground = "getComputedStyle(document.querySelector('.q-menu')).backgroundColor"
    page.get_by_role("option", name=mature.id).wait_for()
    assert page.evaluate(ground) == "rgb(246, 247, 249)"  # else the page shows through the menu
    page.get_by_role("option", name=mature.id).click()
    page.get_by_label("reason").fill("it passed")
    page.get_by_role("button", name="Activate").click()
    card(page).get_by_text("no signal is stored: start scripts/paper").wait_for()
    page.get_by_text("Nobody follows what is switched on: start scripts/paper.").wait_for()
    card(page).get_by_text("Switch it off").click()
    card(page).get_by_label("reason").fill("enough of it")
    card(page).get_by_role("button", name="Deactivate").click()
    page.get_by_text("Nothing is switched on.").wait_for()
    kinds = [(one.kind, one.reason) for one in repository.configurations.events(mature.id)]
    assert kinds[-2:] == [("activated", "it passed"), ("deactivated", "enough of it")]
    assert (person.errors, person.elsewhere) == ([], [])


def test_it_follows_what_is_stored_without_a_reload(watched, repository, switched_on):
    _, mature = switched_on
    person = watched(viewport={"width": 1440, "height": 900})
    page = person.open("/live")
    shown = card(page)
    shown.get_by_text("Long since").wait_for()
    assert "stop 97.5, target 105" in shown.text_content()
    assert "size 100\u00a0% of a full position" in shown.text_content()
    assert "+5.1\u00a0% in 5 closed trades since 2023-01-01" in shown.text_content()
    shown.locator("figure svg").first.wait_for()
    page.get_by_text("The live days fall short of the promise.").wait_for()
    page.evaluate("window.kept = true")
    repository.live.keep_signals({mature.id: a_signal(mature, action="blocked", breaker=BREAKER)})
    shown.get_by_text("max_daily_loss lets nothing in until").wait_for()
    repository.live.note([LiveEvent(ALARM, "Another line.", mature.id)])
    page.get_by_text("Another line.").wait_for()
    assert page.evaluate("window.kept")
    assert (person.errors, person.elsewhere) == ([], [])


BREAKER = {
    "name": "max_daily_loss",
    "limit": 0.02,
    "until": (datetime.now(UTC) + timedelta(hours=5)).isoformat(),
}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_can_be_read(watched, switched_on, tmp_path, width, scheme):
    person = watched(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = person.open("/live")
    card(page).locator("figure svg").first.wait_for()
    for summary in page.locator("summary").all():
        summary.click()
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=tmp_path / "live.png", full_page=True)
    assert poor(page) == []
    assert cut_off(page) == []
    assert (person.errors, person.elsewhere) == ([], [])
