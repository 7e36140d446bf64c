"""Generate the committed schemas: the database's, the document's and the signal's.

Run it after a change of the migrations or of the document's models.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sql
from pipeline.results.access.migrations import postgresql_script
from pipeline.results.document import signal_models
from pipeline.results.document.document import SCHEMA_FILE, json_schema

_HEADER = """\
-- The schema as PostgreSQL runs it: psql -v ON_ERROR_STOP=1 -f sql/schema.sql
-- Generated from the migrations by scripts/schema; do not edit.

"""


def generated() -> dict[Path, str]:
    """Generate the text of every such file, by its place."""
    script = "\n".join(line.rstrip() for line in postgresql_script().strip().splitlines())
    return {
        Path(sql.__file__).with_name("schema.sql"): f"{_HEADER}{script}\n",
        Path(__file__).with_name(SCHEMA_FILE): _json(json_schema()),
        Path(__file__).with_name(signal_models.SCHEMA_FILE): _json(signal_models.json_schema()),
    }


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def outdated() -> dict[Path, str]:
    """Name the files whose text is not what the code says, with what it says."""
    return {
        path: text
        for path, text in generated().items()
        if not path.exists() or path.read_text("utf-8") != text
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what is out of date; with ``--check`` only name it, and return 1 if there is any."""
    parser = argparse.ArgumentParser(prog="scripts/schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if out of date")
    check = parser.parse_args(arguments).check
    stale = outdated()
    for path, text in stale.items():
        if not check:
            path.write_text(text, "utf-8")
        print(f"{path.name} {'is out of date: run scripts/schema' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
