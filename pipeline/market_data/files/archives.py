"""List and unpack the candle files below a path: a file, the members of a zip, or a folder."""

import gzip
import hashlib
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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

#: Bytes that are unpacked at a time, and before the ratio counts; times that what is packed may
#: unpack to. Candles as text unpack to 3 to 20 times, even of a market that never moves.
CHUNK, UNSUSPICIOUS, RATIO = 4 << 20, 16 << 20, 200


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

    @property
    def plain(self) -> Path | None:
        """The file on disk, where it is not packed."""
        return None if self.inner or self.parts[-1].lower().endswith(".gz") else self.file

    def chunks(self) -> Iterator[bytes]:
        """Unpack the file, `CHUNK` bytes at a time.

        Raises
        ------
        UserError
            If it is damaged, locked, packed in an unknown way, or unpacks to more than `LARGEST`
            bytes or than a packed file of candles does.
        """
        size = 0
        try:
            with self._opened() as (content, packed):
                while chunk := content.read(CHUNK):
                    size += len(chunk)
                    if size > LARGEST:
                        raise UserError(
                            f"{self} unpacks to more than {LARGEST:,} bytes, which no file of"
                            " candles needs: download or export it again, a year at a time."
                        )
                    if size > max(UNSUSPICIOUS, RATIO * packed):
                        raise UserError(
                            f"{self} has {packed:,} bytes and unpacks to more than {size:,}, over"
                            f" {RATIO} times as many, which no file of candles does: download or"
                            " export it again."
                        )
                    yield chunk
        except DAMAGE as error:
            raise _unreadable(self, error) from error

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes] | gzip.GzipFile, int]]:
        """Open what it holds unpacked; the number is its bytes as it is packed."""
        with ExitStack() as stack:
            if self.inner is None:
                content: IO[bytes] | gzip.GzipFile = stack.enter_context(self.file.open("rb"))
                size = self.file.stat().st_size
            else:
                archive = stack.enter_context(zipfile.ZipFile(self.file))
                size = archive.getinfo(self.inner).compress_size
                content = stack.enter_context(archive.open(self.inner))
            if self.parts[-1].lower().endswith(".gz"):
                content = stack.enter_context(gzip.open(content))
            yield content, size

    def content(self) -> bytes:
        """Unpack the whole file; see `chunks`, and `start` for one that is empty."""
        self.start()
        return b"".join(self.chunks())

    def start(self) -> bytes:
        """Unpack the first `CHUNK` bytes.

        Raises
        ------
        UserError
            If it is empty, or as `chunks`.
        """
        start = next(self.chunks(), b"")
        if not start.strip():
            raise UserError(f"{self} is empty: download or export it again.")
        return start

    def pieces(self, ends: tuple[bytes, ...]) -> Iterator[bytes]:
        """Unpack text in pieces that end with the first of ``ends`` that is there.

        A file of up to `CHUNK` bytes is one piece.

        Raises
        ------
        UserError
            If there is no end in `CHUNK` bytes, or as `chunks`.
        """
        text = b""
        for chunk in self.chunks():
            if text:
                cut = next((at + len(end) for end in ends if (at := text.rfind(end)) >= 0), 0)
                if not cut:
                    raise UserError(
                        f"{self} has a line or row of over {CHUNK:,} bytes: it holds no candles, or"
                        " is damaged; download or export it again."
                    )
                yield text[:cut]
                text = text[cut:]
            text += chunk
        yield text


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
