"""Read who is told: secrets from the environment or a file, never from a key.

The sentences on what is wrong name the variable, and never repeat what it holds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from pipeline.config import (
    APPRISE_VARIABLE,
    NOTIFY_VARIABLES,
    SECRET_VARIABLE,
    WEBHOOK_VARIABLE,
    NotifyConfig,
)
from pipeline.errors import UserError, how_to_install
from pipeline.notices.receipt import Target
from pipeline.notices.service import Service
from pipeline.notices.webhook import Webhook, complaint, key_of

#: Bytes of a file of secrets: a few lines.
LARGEST = 100_000


def targets_of(config: NotifyConfig) -> list[Target]:
    """Return all receivers that are named; none where none is.

    Raises
    ------
    UserError
        When the file cannot be read, an address or a secret is none, or apprise is not installed.
    """
    variables = _variables(config.secrets)
    webhooks = variables.get(WEBHOOK_VARIABLE, "").split()
    services = variables.get(APPRISE_VARIABLE, "").split()
    keys = _keys(variables.get(SECRET_VARIABLE, "").split()) if webhooks else []
    targets: list[Target] = []
    for number, url in enumerate(webhooks, 1):
        if (reason := complaint(url)) is not None:
            raise UserError(f"Address {number} of {WEBHOOK_VARIABLE} cannot be used: {reason}.")
        targets.append(Webhook(f"webhook {number}", url, keys))
    if services and find_spec("apprise") is None:
        raise UserError(
            f"{APPRISE_VARIABLE} needs the package apprise: add it by {how_to_install('notify')},"
            f" or unset {APPRISE_VARIABLE}."
        )
    for number, url in enumerate(services, 1):
        service = Service(f"apprise {number}", url)
        if not service.is_known():
            raise UserError(
                f"Address {number} of {APPRISE_VARIABLE} is none that apprise knows: its page"
                " https://appriseit.com/services/ lists the form of each service."
            )
        targets.append(service)
    return targets


def _keys(secrets: list[str]) -> list[bytes]:
    if not secrets:
        raise UserError(
            f"{WEBHOOK_VARIABLE} is given without {SECRET_VARIABLE}, by which the receiver tells"
            " your messages from others: scripts/notices --secret prints a new one for both."
        )
    try:
        return [key_of(secret) for secret in secrets]
    except ValueError as reason:
        raise UserError(
            f"{SECRET_VARIABLE} cannot be used: {reason}. scripts/notices --secret prints a new"
            " one."
        ) from None


def _variables(file: str | None) -> Mapping[str, str]:
    """Return the values of the variables: those of the environment, or those of a file."""
    if file is None:
        return {name: os.environ[name] for name in NOTIFY_VARIABLES if name in os.environ}
    try:
        if Path(file).stat().st_size > LARGEST or not Path(file).is_file():
            raise UserError(f"notify.secrets={file} is no file of a few lines.")
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"notify.secrets={file} cannot be read: {reason}.") from None
    given: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = line.strip().partition("=")
        if not name or name.startswith("#"):
            continue
        if not equals or name.strip() not in NOTIFY_VARIABLES:
            raise UserError(
                f"notify.secrets={file}: line {number} must be NAME=VALUE with one of"
                f" {', '.join(NOTIFY_VARIABLES)}."
            )
        given[name.strip()] = f"{given.get(name.strip(), '')} {value.strip()}".strip()
    return given
