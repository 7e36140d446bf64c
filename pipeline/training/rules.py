"""Number the rules that a result was computed by, and say what has changed since."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: What each version changed in figures of the same candles and parameters. A result names its
#: version in its provenance; one that names none is of version 1.
CHANGES: dict[int, tuple[str, ...]] = {
    int(version): tuple(changes)
    for version, changes in json.loads(
        Path(__file__).with_name("rules.json").read_text("utf-8")
    ).items()
}

VERSION = max(CHANGES)


def changes_since(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """List what has changed since the result of a provenance was computed, oldest first."""
    stored = provenance.get("rules_version", 1)
    return tuple(change for version in CHANGES if version > stored for change in CHANGES[version])
