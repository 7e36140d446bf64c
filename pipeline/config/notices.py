"""Define which events are told, and where the secrets of those who are told stand."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.section import List, Section

NoticeKind = Literal["enter", "leave", "stage", "decay", "job", "sweep", "stale", "check", "alarm"]

#: What names the receivers. They are secrets: in no key, no database, no message, no log.
WEBHOOK_VARIABLE, SECRET_VARIABLE, APPRISE_VARIABLE = NOTIFY_VARIABLES = (
    "NOTIFY_WEBHOOK",
    "NOTIFY_SECRET",
    "NOTIFY_APPRISE",
)


class NotifyConfig(Section):
    """Which events are told; the environment or a file says to whom (docs/notifications.md)."""

    events: List[NoticeKind] = Field(description="what is told; []: nothing")
    secrets: Annotated[str, Field(min_length=1)] | None = Field(
        description=f"file with lines {WEBHOOK_VARIABLE}=URL, {SECRET_VARIABLE}=KEY and"
        f" {APPRISE_VARIABLE}=URL; null: environment variables of these names"
    )
