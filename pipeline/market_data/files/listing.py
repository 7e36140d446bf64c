"""List the candle files below a path: a file, the members of a zip, or a folder of either.

A zip may hold zips, as Kraken's big archive does, but those hold none: a zip of a few kilobytes can
be packed so that it never ends.
"""

import difflib
import hashlib
import re
import shlex
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pipeline.config import typed
from pipeline.errors import UserError, first_of
from pipeline.market_data.files import archives

#: How deep zips may lie in each other, and bytes of the inner ones for each byte of the outer: a
#: zip hardly packs again.
DEEPEST, ZIP_RATIO = 2, 4

#: Archives that are not unpacked here, and what unpacks them beside themselves.
FOREIGN = {
    ".tar": "mkdir {folder} && tar -xf {file} -C {folder}",
    ".tar.gz": "mkdir {folder} && tar -xzf {file} -C {folder}",
    ".tgz": "mkdir {folder} && tar -xzf {file} -C {folder}",
    ".tar.xz": "mkdir {folder} && tar -xJf {file} -C {folder}",
    ".tar.bz2": "mkdir {folder} && tar -xjf {file} -C {folder}",
    ".7z": "7z x {file} -o{folder}",
    ".rar": "unrar x {file} {folder}/",
    ".xz": "xz -dk {file}",
    ".bz2": "bzip2 -dk {file}",
    ".zst": "zstd -d {file}",
}
SHEETS = (".xlsx", ".xls", ".ods")


class Listing(NamedTuple):
    """Files that may hold candles, and a few words for each other one that somebody may miss."""

    members: list[archives.Member]
    others: list[str]


def listing(path: Path, key: str | None = None) -> Listing:
    """List files below ``path`` that may hold candles, by name; hidden ones are left out.

    Parameters
    ----------
    path : Path
    key : str, optional
        By which it was given, such as ``import``.

    Raises
    ------
    UserError
        If there are none, or the path or a zip cannot be read.
    """
    try:
        missing = not path.exists()
    except OSError as error:  # a name longer than the file system takes
        raise UserError(f"{path} cannot be looked for: {error.strerror}.") from error
    if missing:
        raise UserError(f"{path} does not exist{_near(path, key)}")
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = Listing([], [])
    for file in files:
        parts = (path.name, *file.relative_to(path).parts)
        if file.is_file() and not _hidden(parts[1:]):
            _add_file(file, parts, found)
    if not found.members:
        raise _nothing(path, found.others)
    return found


def foreign(name: str) -> str | None:
    """Return the ending of an archive or a sheet that is not read; None of any other name."""
    lower = name.lower()
    return next((end for end in (*FOREIGN, *SHEETS) if lower.endswith(end)), None)


def _near(path: Path, key: str | None) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder {path.parent} either)."
    names = sorted(entry.name for entry in path.parent.iterdir())
    # A shell ends an unquoted word at such a sign.
    cut = [name for name in names if re.match(re.escape(path.name) + r"[\s&;()<>|#]", name)]
    near = cut[:1] or difflib.get_close_matches(path.name, names, n=1)
    if not near:
        return "."
    if key is None or re.fullmatch(r"[\w.-]+", near[0], re.ASCII):
        return f". Did you mean '{near[0]}'?"
    return f". Did you mean '{near[0]}'? Then type {typed(**{key: str(path.with_name(near[0]))})}"


def _nothing(path: Path, others: list[str]) -> UserError:
    kinds = ", ".join((".zip", *archives.KINDS))
    end = foreign(path.name)
    if path.is_file() and end in SHEETS:
        return UserError(
            f"{path} is a spreadsheet, of which no cells are read: save it as CSV there, and give"
            " that file."
        )
    if path.is_file() and end:
        out = str(path)[: -len(end)]
        command = FOREIGN[end].format(file=shlex.quote(str(path)), folder=shlex.quote(out))
        return UserError(
            f"{path} is packed as {end}, which is not read: unpack it (`{command}`), and give {out}"
            " in its place."
        )
    there = f" It has {first_of(others, 5)}." if others else ""
    return UserError(
        f"{path} holds no file of candles: those end in {kinds} (or .gz of one).{there}"
    )


def _add_file(file: Path, parts: tuple[str, ...], found: Listing) -> None:
    if file.suffix.lower() == ".zip":
        _check_sum(file)
        try:
            with file.open("rb") as content:
                _add_zip(content, archives.Member(file, (), parts), file.stat().st_size, found)
        except archives.DAMAGE as error:
            raise archives.unreadable(file, error) from error
    elif archives.kind_of(file.name) in archives.KINDS and not foreign(file.name):
        found.members.append(archives.Member(file, (), parts))
    elif foreign(file.name):
        found.others.append(file.name)


def _add_zip(content: IO[bytes], outer: archives.Member, size: int, found: Listing) -> None:
    """Add the members of an opened zip, which lies as deep as ``outer`` says."""
    with zipfile.ZipFile(content) as archive:
        names = Counter(archive.namelist())
        inner_size = 0
        for name, times in sorted(names.items()):
            if times > 1:
                raise UserError(
                    f"{outer} holds {times} files named {name}: pack it again with one."
                )
            inside = PurePosixPath(name).parts
            if name.endswith("/") or _hidden(inside):
                continue
            member = archives.Member(outer.file, (*outer.inner, name), (*outer.parts, *inside))
            if name.lower().endswith(".zip"):
                inner_size += archive.getinfo(name).file_size
                _check_inner(member, inner_size, size)
                with archive.open(name) as inner:
                    _add_zip(inner, member, archive.getinfo(name).file_size, found)
            elif archives.kind_of(name) in archives.KINDS and not foreign(name):
                found.members.append(member)
            elif foreign(name):
                found.others.append(inside[-1])


def _check_inner(member: archives.Member, inner_size: int, size: int) -> None:
    if len(member.inner) >= DEEPEST:
        raise UserError(
            f"{member} is a zip in a zip in a zip: unpack the outer one, and give the folder that"
            " comes out."
        )
    if inner_size > min(archives.LARGEST * DEEPEST, max(archives.UNSUSPICIOUS, ZIP_RATIO * size)):
        raise UserError(
            f"{member.file} has {size:,} bytes, and zips in it of {inner_size:,} or more, which no"
            " archive of candles needs: unpack it, and give the folder that comes out."
        )


def _check_sum(file: Path) -> None:
    """Check a zip against the SHA-256 that Binance publishes beside it, if that was downloaded."""
    published = file.with_name(f"{file.name}.CHECKSUM")
    if not published.is_file():
        return
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if published.read_text(encoding="utf-8", errors="replace").split()[:1] != [digest]:
        raise UserError(f"{file} is not what {published.name} describes: download it again.")


def _hidden(parts: tuple[str, ...]) -> bool:
    """Whether it is a dot file, or what macOS puts into its zips."""
    return any(part.startswith((".", "__MACOSX")) for part in parts)
