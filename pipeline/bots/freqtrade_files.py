"""Write a configuration as files that freqtrade runs: strategy, plan, settings to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Template

from pipeline.bots.plan import Plan
from pipeline.errors import UserError
from pipeline.market_data.store.atomic_files import replace_text

_STRATEGY = Template(
    Path(__file__).with_name("strategy.jinja").read_text("utf-8"), keep_trailing_newline=True
)


def write_files(plan: Plan, folder: Path) -> list[Path]:
    """Write the files of a plan into a folder, which is made, and return their paths.

    Raises
    ------
    UserError
        When one of them is there already, or the folder cannot be written to.
    """
    name = plan.configuration_id
    texts = {
        f"{name}.plan.json": plan.to_json(),
        f"{name}.config.json": json.dumps(settings(plan), indent=2) + "\n",
        f"{name}.py": _STRATEGY.render(
            plan=plan,
            name=name,
            market=f"{plan.exchange}:{plan.pair}:{plan.timeframe}",
            size=said_of_size(plan),
            can_short=":" in plan.pair and plan.risk["direction"] != "long",
        ),
    }
    paths = [folder / name for name in texts]
    try:
        if there := [path for path in paths if path.exists()]:
            raise UserError(
                f"--to {folder}: {there[0].name} is there already: remove it, or name another"
                " folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            replace_text(path, text)
    except OSError as error:
        raise UserError(
            f"--to {folder} cannot be written to: {error.strerror or error}. Name a folder that can"
            " be made, or that can be written to."
        ) from None
    return paths


def settings(plan: Plan) -> dict[str, Any]:
    """Return freqtrade's settings of a plan: a dry run with a wallet of 1,000 in the quote."""
    quote, _, settle = plan.pair.partition("/")[2].partition(":")
    currency = settle or quote
    market = "other"  # the other side of the book: what a market order takes
    return {
        "strategy": plan.configuration_id,
        "max_open_trades": 1,
        "stake_currency": currency,
        "stake_amount": "unlimited",
        "tradable_balance_ratio": 0.99,
        "initial_state": "running",
        "dry_run": True,
        "dry_run_wallet": 1000,
        "fee": plan.costs["fee_rate"],
        "trading_mode": "futures" if settle else "spot",
        "margin_mode": "isolated" if settle else "",
        "entry_pricing": {"price_side": market, "use_order_book": True, "order_book_top": 1},
        "exit_pricing": {"price_side": market, "use_order_book": True, "order_book_top": 1},
        "exchange": {
            "name": _FREQTRADE_NAMES.get(plan.exchange, plan.exchange),
            "key": "",
            "secret": "",
            "pair_whitelist": [plan.pair],
            "pair_blacklist": [],
        },
        "pairlists": [{"method": "StaticPairList"}],
        "dataformat_ohlcv": "feather",
    }


#: What freqtrade calls exchanges that ccxt has under a name of their own for contracts.
_FREQTRADE_NAMES = {"binanceusdm": "binance", "krakenfutures": "krakenfutures"}


def said_of_size(plan: Plan) -> str:
    """Return the sentence on what may be traded of a plan."""
    stage = f"SYNTHETIC {plan.stage}" if plan.synthetic else plan.stage
    if plan.size == 0.0:
        return f"{stage}: its size is 0. This file enters nothing."
    return f"{stage}: it trades {plan.size:g} of a full position."
