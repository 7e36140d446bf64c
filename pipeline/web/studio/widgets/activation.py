"""Switching a configuration on and off for live traders, with a reason that is kept."""

from __future__ import annotations

from nicegui import ui

from pipeline.results.records import Configuration
from pipeline.web.service import Service
from pipeline.web.studio.calls import attempt
from pipeline.web.studio.frame import sentence

#: As `pipeline.web.service.requests.Reason` bounds it.
_LEAST, _MOST = 3, 500


class Activation:
    """Says whether a configuration is switched on, and changes that."""

    def __init__(self, service: Service, configuration: Configuration) -> None:
        self._service, self._id = service, configuration.id
        active = configuration.is_active
        sentence(
            "Active: live traders that ask this server are given it."
            if active
            else "Not active: no live trader is given it."
        )
        with ui.element("div").classes("fields"):
            self._reason = ui.input("reason (kept in the audit trail)").props(
                f"outlined maxlength={_MOST}"
            )
            self._force = ui.checkbox("also below VALIDATION (forced)")
            self._force.set_visibility(not active)
            ui.button(
                "Deactivate" if active else "Activate",
                on_click=self._deactivate if active else self._activate,
            ).props("outline").bind_enabled_from(
                self._reason, "value", lambda reason: len((reason or "").strip()) >= _LEAST
            )

    async def _activate(self) -> None:
        await self._done(
            await attempt(self._service.activate, self._id, self._said(), self._force.value)
        )

    async def _deactivate(self) -> None:
        await self._done(await attempt(self._service.deactivate, self._id, self._said()))

    async def _done(self, answer: object) -> None:
        if answer is not None:
            ui.navigate.reload()

    def _said(self) -> str:
        return str(self._reason.value).strip()
