"""Switch a configuration on or off, with a reason."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pipeline.results.rows.checks import Checked
from pipeline.web.service.service import Service, objection
from pipeline.web.studio.frame import attempt, sentence, text, warning

#: As `pipeline.web.service.requests.Reason` bounds it.
_LEAST, _MOST = 3, 500
#: What is said of a configuration that is switched on and may trade nothing.
ON_PAPER = "on paper alone (size 0)"


class Activation:
    """Says whether a configuration is switched on, and changes that.

    ``done`` is called once that was asked for.
    ``checked`` is None where it cannot be read: then it can only be switched off.
    """

    def __init__(
        self,
        service: Service,
        identity: str,
        done: Callable[[], Awaitable[None]],
        *,
        active: bool,
        checked: Checked | None = None,
    ) -> None:
        if checked is None:
            sentence("No live trader is given it. If it is switched on, switch it off here.")
        elif checked.objections:
            warning(
                f"{'Active, but no' if active else 'No'} live trader is given it:"
                f" {'; '.join(checked.objections)}."
            )
        else:
            sized = checked.configuration is not None and checked.configuration.position_size
            given = (
                ": live traders that ask this server are given it." if sized else f", {ON_PAPER}."
            )
            sentence(f"Active{given}" if active else "Not active: no live trader is given it.")
        if checked is not None and checked.verified_at is not None:
            sentence(f"Last verified {checked.verified_at:%Y-%m-%d %H:%M} UTC.")

        # What is not to be traded is not offered: it takes a look behind a fold to force it.
        row = None if checked is None or checked.objections else checked.configuration
        offered = active or (row is not None and row.position_size > 0.0)
        with ui.element("div" if offered else "details"):
            if not offered:
                text("summary", "Switch it on all the same (forced, with size 0)")
            switch = Switch(service, lambda: identity, done, active=active)
            switch.need("" if row is None else objection(row))


class Switch:
    """A reason and a button, off where ``active``, else on.

    ``identity`` is asked for when the button is pressed: None changes nothing. ``done`` is called
    once the switch is thrown, or was so already. Where the button is off, a sentence says why.
    """

    def __init__(
        self,
        service: Service,
        identity: Callable[[], str | None],
        done: Callable[[], Awaitable[None]],
        *,
        active: bool,
    ) -> None:
        self._service, self._identity, self._done = service, identity, done
        self._active, self._objection = active, ""
        if service.read_only is not None:
            return
        with ui.element("div").classes("fields switch"):
            self._reason = ui.input("reason (kept in the audit trail)", on_change=self._judge)
            self._reason.props(f"outlined maxlength={_MOST}")
            label = "also with size 0 or below VALIDATION (forced)"
            self._force = ui.checkbox(label, on_change=self._judge)
            self._button = ui.button("Deactivate" if active else "Activate", on_click=self._throw)
            self._button.props("outline")
            self._why = sentence("", "soft").props("role=status")
            self.need("")

    def need(self, objection: str) -> None:
        """Ask for force where there is an objection."""
        if self._service.read_only is None:
            self._objection = "" if self._active else objection
            self._force.set_value(False)
            self._force.set_visibility(bool(self._objection))
            self._judge()

    def _judge(self) -> None:
        why = ""
        if self._objection and not self._force.value:
            why = f"It {self._objection}: tick the box to force it."
        elif len((self._reason.value or "").strip()) < _LEAST:
            why = f"Give a reason of at least {_LEAST} letters."
        self._button.set_enabled(not why)
        self._why.set_text(why)

    async def _throw(self) -> None:
        identity, said = self._identity(), str(self._reason.value).strip()
        if identity is None:
            return
        if self._active:
            answer = await attempt(self._service.deactivate, identity, said)
        else:
            answer = await attempt(self._service.activate, identity, said, self._force.value)
        if answer is None:
            return
        to = "off" if self._active else "on"
        if answer.recorded:
            ui.notify(f"{identity} is switched {to}.", type="positive")
        else:
            at = f", at {answer.switched_at:%Y-%m-%d %H:%M} UTC" if answer.switched_at else ""
            kept = f"{identity} was switched {to} already{at}. Nothing changed: no reason is kept."
            ui.notify(kept, type="negative", timeout=10_000, close_button="Close")
        self._reason.value = ""
        await self._done()
