"""The two schemas that are generated and committed: the database's and the document's.

Run as ``scripts/schema`` after a change of the migrations or of the document's models; with
``--check`` it only says what is out of date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import sql
from pipeline.results.migrations import postgresql_script
from pipeline.results.template import SCHEMA_FILE, json_schema

_HEADER = """\
-- The schema as PostgreSQL runs it: psql -v ON_ERROR_STOP=1 -f sql/schema.sql
-- Generated from the migrations by scripts/schema; do not edit.

"""


def generated() -> dict[Path, str]:
    """Generate the text of every such file, by its place."""
    script = "\n".join(line.rstrip() for line in postgresql_script().strip().splitlines())
    return {
        Path(sql.__file__).with_name("schema.sql"): f"{_HEADER}{script}\n",
        Path(__file__).with_name(SCHEMA_FILE): json.dumps(json_schema(), indent=2) + "\n",
    }


def outdated() -> dict[Path, str]:
    """Name the files whose text is not what the code says, with what it says."""
    return {
        path: text
        for path, text in generated().items()
        if not path.exists() or path.read_text("utf-8") != text
    }


def main(arguments: list[str]) -> int:
    """Write what is out of date; with ``--check`` only name it, and return 1 if there is any."""
    check = arguments == ["--check"]
    stale = outdated()
    for path, text in stale.items():
        if not check:
            path.write_text(text, "utf-8")
        print(f"{path.name} {'is out of date: run scripts/schema' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
