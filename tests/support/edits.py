"""Every single edit by hand of a stored configuration, its job, its events and its artifacts.

And pairs: an edit together with the digest, the head or the seal that it disagrees with. A digest
is one to be found in the database or in a listing of a folder; nothing is hashed anew but a column
or a file alone.
"""

import json
import math
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.results.rows import chain

#: The tables that a configuration is read from, and the column of each that names it.
TABLES = {
    "trained_configurations": "id",
    "training_jobs": "id",
    "configuration_events": "configuration_id",
}
#: Another value of the columns that are times.
TIMES = dict.fromkeys(("verified_at", "heartbeat_at"), "2020-01-01 00:00:00.000000")
#: Columns that say who works on a row, nothing of what is traded.
UNREAD = {"owner", "heartbeat_at"}
#: Columns that hold 0 or 1.
FLAGS = {"is_active", "synthetic"}


class Edit(NamedTuple):
    """One edit: ``apply`` makes it, ``reads`` says whether somebody reads another value then."""

    kind: str
    name: str
    apply: Callable[[], None]
    reads: bool = True


class Target:
    """A configuration to edit and to put back, in a SQLite file beside a folder of artifacts."""

    def __init__(self, folder: Path, identity: str, job_id: str) -> None:
        self.database = folder / "var/trainings.db"
        self.artifacts = folder / "var/artifacts" / identity
        self.keys = {"training_jobs": job_id}
        self.keys |= dict.fromkeys(("trained_configurations", "configuration_events"), identity)
        self._copy = folder / "kept"
        shutil.copytree(self.artifacts, self._copy)
        self.run(*(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}" for table in TABLES))

    def put_back(self) -> None:
        """Undo whatever was edited."""
        self.run(
            *(f"DELETE FROM {table}" for table in TABLES),
            *(f"INSERT INTO {table} SELECT * FROM kept_{table}" for table in TABLES),
        )
        if self.artifacts.exists():
            shutil.rmtree(self.artifacts)
        shutil.copytree(self._copy, self.artifacts)

    def run(self, *statements: str, values: tuple[Any, ...] = ()) -> None:
        """Execute statements, whatever the constraints of the tables say."""
        with closing(sqlite3.connect(self.database, timeout=60)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                connection.execute(statement, values)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Rows of the configuration in a table, in their order, as the database holds them."""
        with closing(sqlite3.connect(self.database, timeout=60)) as connection:
            connection.row_factory = sqlite3.Row
            query = f"SELECT rowid AS at, * FROM {table} WHERE {TABLES[table]} = ? ORDER BY rowid"
            return [dict(row) for row in connection.execute(query, [self.keys[table]])]

    def edits(self) -> Iterator[Edit]:
        """Yield all edits; each is of a target that was put back."""
        for table in TABLES:
            for number, row in enumerate(self.rows(table)):
                yield from self._of_row(table, f"{table}[{number}]", row)
        yield from self._of_trail()
        yield from self._of_artifacts()
        yield from self._pairs()

    def _of_row(self, table: str, where: str, row: dict[str, Any]) -> Iterator[Edit]:
        at = row.pop("at")

        def written(column: str, value: Any) -> Callable[[], None]:
            statement = f"UPDATE {table} SET {column} = ? WHERE rowid = {at}"
            return lambda: self.run(statement, values=(value,))

        for column, value in row.items():
            reads = column not in UNREAD
            name = f"{where}.{column}"
            if not (isinstance(value, str) and value[:1] in ("{", "[")):
                other = not value if column in FLAGS else TIMES.get(column, changed(value))
                yield Edit("columns", name, written(column, other), reads)
                continue
            for path, tree in json_edits(json.loads(value)):
                yield Edit("JSON values", f"{name}{path}", written(column, json.dumps(tree)))
            yield Edit("columns", f"{name} cut short", written(column, value[:-1]))
            spaced = json.dumps(json.loads(value), indent=1)
            yield Edit("JSON text", f"{name} with blanks", written(column, spaced), reads=False)
            turned = json.dumps(upside_down(json.loads(value)))
            if turned != value:
                yield Edit("JSON text", f"{name}, other order", written(column, turned), False)

    def _pairs(self) -> Iterator[Edit]:
        (row,), (job,) = self.rows("trained_configurations"), self.rows("training_jobs")
        events = self.rows("configuration_events")
        for column in row.keys() - {"at", "head", "seal"}:
            yield from self._column_pairs("trained_configurations", row, column, column)
        for column in job.keys() - {"at"} - UNREAD:
            yield from self._column_pairs("training_jobs", job, column, chain.JOB)
        for number, event in enumerate(events):
            gone = f"DELETE FROM configuration_events WHERE rowid = {event['at']}"
            one, back = partial(self.run, gone), {"head": event["previous"]}
            yield self._sealed(f"event {number} removed and the head before it", one, back)
            for column in ("reason", "figures", "at", "kind"):
                other = '{"n": 1}' if column == "figures" else changed(event[column])
                one = self._update("configuration_events", event["at"], column, other)
                for name, text in (("head", ""), ("seal", ""), ("head", event["previous"])):
                    what = f"event {number}.{column} and {name} {text[:4]}"
                    yield self._sealed(what, one, {name: text})
        for path in sorted(self.artifacts.iterdir()):
            listed = json.loads(row["artifact_digests"])
            fresh = {**listed, path.name: sha256(flipped(path, 0)).hexdigest()}
            less = {name: digest for name, digest in listed.items() if name != path.name}
            for one, digests in ((partial(flip, path, 0), fresh), (path.unlink, less)):
                columns = {"artifact_digests": json.dumps(digests)}
                yield self._sealed(f"{path.name} and its digest, {len(digests)}", one, columns)

    def _column_pairs(
        self, table: str, row: dict[str, Any], column: str, part: str
    ) -> Iterator[Edit]:
        """Yield another value of a column with another head, seal, or digest in its event."""
        value, events = row[column], self.rows("configuration_events")
        other = not value if column in FLAGS else TIMES.get(column, changed(value))
        if isinstance(value, str) and value[:1] in ("{", "["):
            other = json.dumps(next(json_edits(json.loads(value)))[1])
        one, name = self._update(table, row["at"], column, other), f"{table}.{column}"
        for text in ("", "f" * 64, events[-1]["previous"]):
            for taken in ("head", "seal"):
                yield self._sealed(f"{name} and {taken} {text[:4]}", one, {taken: text})
        for event in events[::-1]:
            digests = json.loads(event["digests"])
            if part not in digests:
                continue
            fresh = {**digests, part: chain.digest(decoded(column, other))}
            less = {key: digest for key, digest in digests.items() if key != part}
            for tree in (fresh, less):
                text = json.dumps(tree)
                two = self._update("configuration_events", event["at"], "digests", text)
                yield _pair(f"{name} and its digest, {len(tree)}", one, two)
            break

    def _sealed(self, name: str, one: Callable[[], Any], columns: dict[str, Any]) -> Edit:
        """Edit something, and columns of the configuration's row with it."""
        (row,) = self.rows("trained_configurations")
        table = "trained_configurations"
        sets = [self._update(table, row["at"], column, columns[column]) for column in columns]
        return _pair(name, one, *sets)

    def _update(self, table: str, at: int, column: str, value: Any) -> Callable[[], None]:
        statement = f"UPDATE {table} SET {column} = ? WHERE rowid = {at}"
        return lambda: self.run(statement, values=(value,))

    def _of_trail(self) -> Iterator[Edit]:
        table = "configuration_events"
        rows = self.rows(table)
        for number, row in enumerate(rows):
            gone = f"DELETE FROM {table} WHERE rowid = {row['at']}"
            yield Edit("events", f"event {number} removed", lambda s=gone: self.run(s))
            yield Edit("events", f"event {number} added again", partial(self._add, row, len(rows)))
        for number, (one, two) in enumerate(pairwise(rows)):
            swap = [
                f"UPDATE {table} SET number = {new} WHERE rowid = {row['at']}"
                for row, new in ((one, -1), (two, one["number"]), (one, two["number"]))
            ]
            yield Edit(
                "events", f"events {number} and {number + 1} swapped", lambda s=swap: self.run(*s)
            )

    def _add(self, row: dict[str, Any], number: int) -> None:
        fields = {name: value for name, value in row.items() if name != "at"}
        fields |= {"id": "f" * 32, "number": number}
        statement = (
            f"INSERT INTO configuration_events ({', '.join(fields)})"
            f" VALUES ({', '.join('?' * len(fields))})"
        )
        self.run(statement, values=tuple(fields.values()))

    def _of_artifacts(self) -> Iterator[Edit]:
        files = sorted(self.artifacts.iterdir())
        for path, other in zip(files, files[1:] + files[:1], strict=True):
            size = path.stat().st_size
            for place in (0, size // 3, size // 2, size - 1):
                name = f"{path.name}, byte {place} flipped"
                yield Edit("artifacts", name, lambda p=path, at=place: flip(p, at))
            cut = lambda p=path, n=size: os.truncate(p, n - 1)  # noqa: E731
            yield Edit("artifacts", f"{path.name} cut short", cut)
            copy = lambda p=path, o=other: shutil.copy(o, p)  # noqa: E731
            yield Edit("artifacts", f"{path.name} replaced by {other.name}", copy)
            yield Edit("artifacts", f"{path.name} removed", path.unlink)
            yield Edit("artifacts", f"{path.name} emptied", lambda p=path: os.truncate(p, 0))
            yield Edit("artifacts", f"{path.name} touched", lambda p=path: os.utime(p), False)
        added = self.artifacts / "scores2.npz"
        yield Edit("artifacts", "a file added", lambda: shutil.copy(files[0], added) and None)
        yield Edit("artifacts", "the folder removed", lambda: shutil.rmtree(self.artifacts))


def _pair(name: str, *edits: Callable[[], Any]) -> Edit:
    return Edit("pairs", name, lambda: [edit() for edit in edits] and None)


def changed(value: Any) -> Any:
    """Return a value that differs as little as a value can."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return math.nextafter(value, math.inf)
    return f"{value[:-1]}{'y' if value.endswith('x') else 'x'}"


def json_edits(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every tree that differs in one place: a value, a name more, a name less."""
    for path, node in places(tree):
        name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        if not isinstance(node, dict | list):
            yield name, with_value(tree, path, changed(node))
            if node is not None:
                yield f"{name} null", with_value(tree, path, None)
            continue
        more = {**node, "surprise": 1} if isinstance(node, dict) else [*node, 1]
        yield f"{name} with one more", with_value(tree, path, more)
        if node:
            keys = list(node)[1:] if isinstance(node, dict) else None
            less = {key: node[key] for key in keys} if keys is not None else node[1:]
            yield f"{name} with one less", with_value(tree, path, less)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every branch and leaf with its path."""
    yield path, node
    if isinstance(node, dict | list):
        for step, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(child, (*path, step))


def with_value(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a tree with another value at a path."""
    if not path:
        return value
    tree = deepcopy(tree)
    node = tree
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return tree


def upside_down(node: Any) -> Any:
    """Return the same with all names in the other order, and whole numbers as floats."""
    if isinstance(node, dict):
        return {name: upside_down(node[name]) for name in reversed(node)}
    if isinstance(node, list):
        return [upside_down(item) for item in node]
    whole = isinstance(node, int) and not isinstance(node, bool) and abs(node) < 2**53
    return float(node) if whole else node


def flip(path: Path, place: int) -> None:
    """Turn the lowest bit of one byte of a file."""
    path.write_bytes(flipped(path, place))


def flipped(path: Path, place: int) -> bytes:
    """Return the bytes of a file with the lowest bit of one turned."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    return bytes(content)


def decoded(column: str, value: Any) -> Any:
    """Return a value of a column as the program reads it."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return bool(value) if column in FLAGS else value
