"""List and unpack the candle files below a path: a file, the members of a zip, or a folder."""

import gzip
import hashlib
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.errors import UserError, suggestion

#: Kinds of files that may hold candles; each may be packed once more, as ``.csv.gz``.
KINDS = (".csv", ".parquet", ".feather", ".json")

#: What reading a damaged, locked or unknown archive raises.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
)

#: Bytes that a file may unpack to. Ten years of 1m candles as text are about 700 MB; a few
#: kilobytes can be made to unpack to more than any memory.
LARGEST = 2 << 30


@dataclass(frozen=True)
class Member:
    """A file of candles, on disk or in a zip.

    Attributes
    ----------
    file : Path
        On disk: the file itself, or the zip that holds it.
    inner : str or None
        Its name inside the zip.
    parts : tuple of str
        Folders and name below the path that was asked for, outermost first.
    """

    file: Path
    inner: str | None
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}, member {self.inner}" if self.inner else str(self.file)

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return _kind(self.parts[-1])

    @property
    def written(self) -> int:
        """When the file on disk was written, milliseconds since the epoch, UTC."""
        return self.file.stat().st_mtime_ns // 1_000_000

    def content(self) -> bytes:
        """Read and unpack the file.

        Raises
        ------
        UserError
            If it is empty, damaged, locked, packed in an unknown way, or larger than `LARGEST`.
        """
        try:
            if self.inner is None:
                with self.file.open("rb") as packed:
                    content = self._unpacked(packed)
            else:
                with zipfile.ZipFile(self.file) as archive, archive.open(self.inner) as packed:
                    content = self._unpacked(packed)
        except DAMAGE as error:
            raise _unreadable(self, error) from error
        if not content.strip():
            raise UserError(f"{self} is empty: download or export it again.")
        return content

    def _unpacked(self, packed: IO[bytes]) -> bytes:
        content = self._bounded(packed)
        if self.parts[-1].lower().endswith(".gz"):
            with gzip.open(BytesIO(content)) as unpacked:
                content = self._bounded(unpacked)
        return content

    def _bounded(self, packed: IO[bytes] | gzip.GzipFile) -> bytes:
        content = packed.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UserError(
                f"{self} unpacks to more than {LARGEST:,} bytes, which no file of candles needs:"
                " download or export it again, a year at a time."
            )
        return content


def members(path: Path) -> list[Member]:
    """List files below ``path`` that may hold candles, by name; hidden ones are left out.

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
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"{path} does not exist.{suggestion(path.name, siblings)}")
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    candle_files = [member for file in files for member in _of_file(file, path)]
    if not candle_files:
        kinds = ", ".join((".zip", *KINDS))
        raise UserError(f"{path} holds no file of candles: those end in {kinds} (or .gz of one).")
    return candle_files


def _of_file(file: Path, root: Path) -> Iterator[Member]:
    parts = (root.name, *file.relative_to(root).parts)
    if not file.is_file() or _hidden(parts[1:]):
        return
    if file.suffix.lower() != ".zip":
        if _kind(file.name) in KINDS:
            yield Member(file, None, parts)
        return
    _check_sum(file)
    try:
        with zipfile.ZipFile(file) as archive:
            names = Counter(archive.namelist())
    except DAMAGE as error:
        raise _unreadable(file, error) from error
    for name, times in sorted(names.items()):
        if times > 1:
            raise UserError(f"{file} holds {times} files named {name}: pack it again with one.")
        inner = PurePosixPath(name).parts
        if not name.endswith("/") and _kind(name) in KINDS and not _hidden(inner):
            yield Member(file, name, (*parts, *inner))


def _check_sum(file: Path) -> None:
    """Check a zip against the SHA-256 that Binance publishes beside it, if that was downloaded."""
    published = file.with_name(f"{file.name}.CHECKSUM")
    if not published.is_file():
        return
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if published.read_text(encoding="utf-8", errors="replace").split()[:1] != [digest]:
        raise UserError(f"{file} is not what {published.name} describes: download it again.")


def _kind(name: str) -> str:
    suffixes = PurePosixPath(name.lower()).suffixes
    return "".join(suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _hidden(parts: tuple[str, ...]) -> bool:
    """Whether it is a dot file, or what macOS puts into its zips."""
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def _unreadable(what: Member | Path, error: Exception) -> UserError:
    reason = str(error) or type(error).__name__
    return UserError(f"{what} cannot be read: {reason.rstrip('.')}. Download or copy it again.")
