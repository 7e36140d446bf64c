"""Hand a message to the package apprise, which reaches over a hundred services.

apprise is imported when a message is sent: most who train have it not. It writes what failed, with
parts of the address, to its own log alone: that log is switched off.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pipeline.notices.quiet import quiet
from pipeline.notices.receipt import Receipt


@cache
def _apprise() -> Any:
    import apprise

    log = logging.getLogger("apprise")
    log.propagate, log.disabled = False, True
    return apprise


@dataclass(frozen=True)
class Service:
    """One address of apprise, such as ``tgram://TOKEN/CHAT``."""

    name: str
    url: str = field(repr=False)

    def is_known(self) -> bool:
        """Tell whether apprise knows such addresses, and this one is complete."""
        return self._instance() is not None

    def send(self, body: dict[str, Any]) -> Receipt:
        """Send a message once."""
        service = self._instance()
        if service is None:
            return Receipt("apprise does not know its address")
        try:
            with quiet():
                delivered = service.notify(
                    title=body["title"],
                    body=body["text"] or body["title"],
                    notify_type=body["level"],
                    body_format="text",
                )
        except Exception as error:  # of any of its plugins
            return Receipt(f"apprise failed ({type(error).__name__})")  # it may say the address
        return Receipt() if delivered else Receipt("apprise could not deliver it")

    def _instance(self) -> Any:
        apprise = _apprise()
        asset = apprise.AppriseAsset(app_id="Sweep trainer", app_desc="Sweep trainer")
        return apprise.Apprise.instantiate(self.url, asset=asset)
