"""Paper trading candle by candle against the loopback exchange, killed, with holes and revisions.

In the end every ledger is the backtest of the final candles in every trade, or its check names the
candle that the exchange has revised. `pytest -m slow -s` shows the figures of the whole drill.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from pipeline.config import StorageConfig
from pipeline.live.closing import differences
from pipeline.live.trader import trader_of
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import RawCandles
from pipeline.strategies.registry import load_strategy
from support.loopback import CANDLE_START, LoopbackBinance, candle_series
from support.runs import ROOT, ask, run_here

DAY = 86_400_000
STEPS = {"5m": 300_000, "15m": 900_000}
STRATEGIES = (
    "liquidity_sweep",
    "donchian_breakout",
    "failed_breakdown",
    "supply_shock",
    "capitulation_reversal",
)
#: Days that the store has, and days that are followed.
TRAINED, FOLLOWED = 12, 20
#: Milliseconds after its close at which a candle is looked for.
LOOK_MS = 400


def series(timeframe, seed, absent=()):
    step = STEPS[timeframe]
    return candle_series((TRAINED + FOLLOWED + 1) * DAY // step, step, seed=seed, absent=absent)


def words(rng, timeframe, strategies):
    """The command line of a training that stores one random combination."""
    name = str(rng.choice(strategies))
    values = {p.name: p.grid[rng.integers(len(p.grid))] for p in load_strategy(name).parameters}
    first = CANDLE_START + int(rng.integers(0, 4)) * DAY
    last = CANDLE_START + int(rng.integers(TRAINED - 3, TRAINED + 1)) * DAY
    return (
        f"market=btc_binance_{timeframe}",
        f"strategy={name}",
        *(
            f"strategy.parameters.{name}.grid=[{'null' if value is None else value}]"
            for name, value in values.items()
        ),
        f"data.since={_iso(first)}",
        f"data.until={_iso(last)}",
        f"risk.direction={rng.choice(['both', 'long', 'short'])}",
        "optimizer=grid",
        "min_trades=0",
        "validation=train_test_split",
        "validation.ratio=0.5",
        "validation.gap=0",
        "validation.test=2",
        "validation.evidence=deciding",
        "validation.surrogate_count=20",
        "validation.resamples=99",
    )


def _iso(milliseconds):
    return str(np.datetime64(milliseconds, "ms").astype("datetime64[D]"))


class Drill:
    """A loopback exchange, stored configurations, and the service as a process of its own."""

    def __init__(self, folder, exchange):
        self.folder, self.exchange = folder, exchange
        self.clock = folder / "clock"
        self.process = None
        self.kills = 0

    def store(self, cases, rng, strategies):
        for timeframe, step in STEPS.items():
            until = CANDLE_START + TRAINED * DAY
            request = CandleRequest("binance", "BTC/USDT", timeframe, CANDLE_START, until)
            self.tell(until + step)
            fetch_ccxt(request, self.folder / "var/candles", client=self.exchange.client())
        for _ in range(cases):
            timeframe = str(rng.choice(list(STEPS)))
            finished = run_here(self.folder, *words(rng, timeframe, strategies))
            assert finished.status == 0, finished.err
        rows = ask(self.folder, lambda repository: repository.configurations.find())
        self.ids = [row.id for row in rows]
        assert len(self.ids) == cases

    def tell(self, now):
        """Move the time, of the exchange first."""
        self.exchange.now = now
        part = self.clock.with_suffix(".part")
        part.write_text(str(now))
        part.replace(self.clock)

    def start(self):
        environment = {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
            "LOOPBACK_EXCHANGE": self.exchange.url,
            "LOOPBACK_CLOCK": str(self.clock),
        }
        with (self.folder / "notes").open("a") as notes:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "support.loopback.paper_command", *self.ids],
                cwd=self.folder,
                env=os.environ | environment,
                stdout=notes,
                stderr=notes,
            )

    def said(self):
        return (self.folder / "notes").read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def revise(self, timeframe, back):
        """Have the exchange say now that a candle it served closed elsewhere; return its open."""
        rows, step = self.exchange.history[timeframe], STEPS[timeframe]
        served = [i for i, row in enumerate(rows) if row[0] + step <= self.exchange.now]
        row = list(rows[served[-back]])
        row[4] = round(row[4] * 1.004, 2)
        row[2], row[3] = max(row[2], row[4]), min(row[3], row[4])
        rows[served[-back]] = row
        return row[0]

    @contextmanager
    def late(self, timeframe):
        """Withhold the newest closed candle for a while."""
        rows, step = self.exchange.history[timeframe], STEPS[timeframe]
        newest = [i for i, row in enumerate(rows) if row[0] + step <= self.exchange.now][-1]
        kept = list(rows)
        del rows[newest:]
        yield
        rows[:] = kept

    def await_booking(self, market_opens, seconds=600.0):
        """Wait until every account has the newest candle of its market; time goes on."""
        began, now = time.monotonic(), self.exchange.now
        while (waited := time.monotonic() - began) < seconds:
            self.tell(now + int(waited * 1000))
            accounts = ask(self.folder, lambda repository: repository.live.accounts())
            booked = [
                has_booked(one, market_opens[one.configuration_id]) for one in accounts.values()
            ]
            if len(booked) == len(self.ids) and all(booked):
                return
            assert self.process.poll() is None, self.said()
            time.sleep(0.02)
        raise AssertionError(self.said())


def has_booked(account, newest):
    """Whether an account has a candle, or begins after it."""
    begins = account.first_candle.timestamp() * 1000
    return begins > newest or (
        account.through is not None and account.through.timestamp() * 1000 >= newest
    )


def opens(drill, now):
    """The newest candle that each configuration's market has at a time."""
    rows = ask(drill.folder, lambda repository: repository.configurations.find())
    newest = {}
    for row in rows:
        step = STEPS[row.timeframe]
        times = [r[0] for r in drill.exchange.history[row.timeframe] if r[0] + step <= now]
        newest[row.id] = times[-1]
    return newest


def verdicts(drill):
    """What each ledger has otherwise than the backtest of the exchange's final candles."""
    storage = StorageConfig.model_construct(
        url="", artifacts=str(drill.folder / "var/artifacts"), patience=0.0
    )

    def judge(repository):
        result = {}
        for identity in drill.ids:
            trader = trader_of(repository, storage, repository.configurations.read(identity))
            account = repository.live.account(identity)
            timeframe = trader.configuration.timeframe
            rows = np.array(drill.exchange.history[timeframe])
            rows = rows[rows[:, 0] <= account.through.timestamp() * 1000]
            candles, _ = make_regular(RawCandles.of(rows), timeframe, "final")
            series = trader.series(candles, round(account.first_candle.timestamp() * 1000))
            trades, days = repository.live.trades(identity), repository.live.days(identity)
            result[identity] = (list(differences(trader, series, trades, days)), account, trades)
        return result

    return ask(drill.folder, judge)


def revisions_of(drill):
    """The candles that the journal names as revised, by timeframe."""
    events = ask(drill.folder, lambda repository: repository.live.events(limit=99_999))
    named = {}
    for event in events:
        if event.kind == "revised":
            timeframe = event.market.rpartition(":")[2]
            named.setdefault(timeframe, set()).add(event.text.partition("candle of ")[2][:16])
    return named


def iso_minute(at):
    return str(np.datetime64(at, "ms").astype("datetime64[m]")).replace("T", " ")


def through(drill, rng, moments, kills):
    """Go from moment to moment; at some of them kill the service instead of waiting for it."""
    at = set(rng.choice(len(moments) - 1, kills, replace=False).tolist())
    late = set(rng.choice(len(moments) - 1, 1 + kills // 4, replace=False).tolist())
    drill.start()
    for number, now in enumerate(moments):
        drill.tell(now)
        if number in late:
            with drill.late("5m"):
                time.sleep(0.3)
        if number in at:
            time.sleep(rng.uniform(0.0, 0.3))
            drill.kill()
            if rng.random() < 0.5:
                drill.start()
            continue
        if drill.process.poll() is not None:
            drill.start()
        drill.await_booking(opens(drill, now))


def moments_of(rng, candles):
    """Times shortly after a close: mostly of each candle, now and then hours later."""
    now, moments = CANDLE_START + TRAINED * DAY, []
    end = CANDLE_START + (TRAINED + FOLLOWED) * DAY
    pace = (end - now) // STEPS["5m"] / candles
    while now < end:
        jump = 1 if rng.random() < 0.9 else int(rng.integers(1, max(2, 20 * pace)))
        now += jump * STEPS["5m"]
        moments.append(now + LOOK_MS)
    return moments


def drive(folder, seed, cases, candles, kills, strategies=STRATEGIES, revisions=()):
    rng = np.random.default_rng(seed)
    hole = [TRAINED * 288 + 100, TRAINED * 288 + 101, TRAINED * 288 + 333]
    history = {"5m": series("5m", seed, hole), "15m": series("15m", seed + 1)}
    with LoopbackBinance(history, CANDLE_START + DAY) as exchange:
        drill = Drill(folder, exchange)
        drill.store(cases, rng, strategies)
        moments = moments_of(rng, candles)[:candles]
        try:
            half = len(moments) // 2
            through(drill, rng, moments[:half], kills // 2)
            drill.revised = [drill.revise(timeframe, 2) for timeframe in revisions]
            drill.kill()
            through(drill, rng, moments[half:], kills - kills // 2)
            drill.tell(moments[-1] + DAY)
            if drill.process.poll() is not None:
                drill.start()
            drill.await_booking(opens(drill, exchange.now))
            drill.kill()
        finally:
            if drill.process is not None:
                drill.kill()
        return drill


@pytest.mark.slow
def test_a_few_cases(tmp_path):
    drill = drive(tmp_path, 1, 2, candles=16, kills=2, strategies=["donchian_breakout"])
    judged = verdicts(drill)
    assert [clauses for clauses, *_ in judged.values()] == [[], []]
    assert sum(len(trades) for *_, trades in judged.values()) > 0


@pytest.mark.slow
def test_a_revised_candle_is_named(tmp_path):
    drill = drive(
        tmp_path,
        3,
        1,
        candles=8,
        kills=0,
        strategies=["donchian_breakout"],
        revisions=["5m", "15m"],
    )
    (account,) = [account for _, account, _ in verdicts(drill).values()]
    ((_, (named,)),) = revisions_of(drill).items()
    assert named in {iso_minute(at) for at in drill.revised}
    assert named in account.difference


@pytest.mark.slow
def test_thirty_cases_with_twenty_kills(tmp_path):
    drill = drive(tmp_path, 2, 30, candles=300, kills=20, revisions=["15m"])
    judged = verdicts(drill)
    apart = {identity: clauses for identity, (clauses, *_) in judged.items() if clauses}
    named = revisions_of(drill)
    rows = ask(drill.folder, lambda repository: repository.configurations.find())
    timeframes = {row.id: row.timeframe for row in rows}
    unnamed = [identity for identity in apart if timeframes[identity] not in named]
    trades = sum(len(trades) for *_, trades in judged.values())
    print(
        f"\n{len(judged)} cases, {drill.kills} kills, {trades} trades,"
        f" {len(drill.exchange.requests)} requests; not as the final candles: {apart}"
    )
    assert trades > 50
    assert unnamed == []
    assert named == {"15m": {iso_minute(at) for at in drill.revised}}
