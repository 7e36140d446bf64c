"""Switch a configuration on or off, with a reason."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pipeline.results.checks import Checked
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import attempt, sentence, text, warning

#: As `pipeline.web.service.requests.Reason` bounds it.
_LEAST, _MOST = 3, 500
#: What is said of a configuration that is switched on and may trade nothing.
ON_PAPER = "on paper alone (size 0)"


class Activation:
    """Says whether a configuration is switched on, and changes that.

    ``done`` is called once it is changed; without it a sentence says so.
    ``checked`` is None where it cannot be read: then it can only be switched off.
    """

    def __init__(
        self,
        service: Service,
        identity: str,
        done: Callable[[], Awaitable[None]] | None = None,
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

        def switched_off() -> None:
            ui.notify(f"{identity} is switched off.", type="positive")

        # What is not to be traded is not offered: it takes a look behind a fold to force it.
        row = None if checked is None or checked.objections else checked.configuration
        offered = active or (row is not None and row.position_size > 0.0)
        with ui.element("div" if offered else "details"):
            if not offered:
                text("summary", "Switch it on all the same (forced, with size 0)")
            after = done or switched_off
            Switch(service, lambda: identity, after, active=active, sized=offered)


class Switch:
    """A reason and a button, off where ``active``, else on.

    ``identity`` is asked for when the button is pressed: None changes nothing. ``done`` is called
    once the switch is thrown. What is ``sized`` needs no force.
    """

    def __init__(
        self,
        service: Service,
        identity: Callable[[], str | None],
        done: Callable[[], Awaitable[None] | None],
        *,
        active: bool,
        sized: bool = False,
    ) -> None:
        self._service, self._identity, self._done = service, identity, done
        self._active = active
        if service.read_only is not None:
            return
        with ui.element("div").classes("fields switch"):
            self._reason = ui.input("reason (kept in the audit trail)").props(
                f"outlined maxlength={_MOST}"
            )
            self._force = ui.checkbox("also below VALIDATION (forced)")
            self._force.set_visibility(not active and not sized)
            ui.button("Deactivate" if active else "Activate", on_click=self._throw).props(
                "outline"
            ).bind_enabled_from(
                self._reason, "value", lambda reason: len((reason or "").strip()) >= _LEAST
            )

    async def _throw(self) -> None:
        identity, said = self._identity(), str(self._reason.value).strip()
        if identity is None:
            return
        answer: object
        if self._active:
            answer = await attempt(self._service.deactivate, identity, said)
        else:
            answer = await attempt(self._service.activate, identity, said, self._force.value)
        if answer is not None:
            self._reason.value = ""
            after = self._done()
            if after is not None:
                await after
