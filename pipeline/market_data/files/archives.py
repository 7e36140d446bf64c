"""Unpack candle files: on disk, in a zip, in a zip of zips; text in UTF-8 or UTF-16."""

import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.errors import NotCandlesError, UserError

#: Kinds of files that may hold candles; each may be packed once more, as ``.csv.gz``.
KINDS = (".csv", ".parquet", ".feather", ".json")

#: Other endings of the same.
ALIASES = {".tsv": ".csv", ".txt": ".csv", ".pq": ".parquet"}

#: Those that are text.
TEXTS = (".csv", ".json")

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
    inner : tuple of str
        Its name inside the zip; of a zip in a zip, that one's name first.
    parts : tuple of str
        Folders and name below the path that was asked for, outermost first.
    growing : bool
        Whether somebody appends to it: the last line of a CSV file is there when it has its end.
    """

    file: Path
    inner: tuple[str, ...]
    parts: tuple[str, ...]
    growing: bool = False

    def __str__(self) -> str:
        return ", member ".join((str(self.file), *self.inner))

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return kind_of(self.parts[-1])

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
            raise unreadable(self, error) from error

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes] | gzip.GzipFile, int]]:
        """Open what it holds unpacked; the number is its bytes as it is packed."""
        with ExitStack() as stack:
            content: IO[bytes] | gzip.GzipFile = stack.enter_context(self.file.open("rb"))
            size = self.file.stat().st_size
            for name in self.inner:
                archive = stack.enter_context(zipfile.ZipFile(content))
                size = archive.getinfo(name).compress_size
                content = stack.enter_context(archive.open(name))
            if self.parts[-1].lower().endswith(".gz"):
                content = stack.enter_context(gzip.open(content))
            yield content, size

    def texts(self) -> Iterator[bytes]:
        """Unpack a text file as `chunks`, in UTF-8 without a mark.

        Raises
        ------
        UserError
            If it says that it is UTF-16 and is none, or as `chunks`.
        """
        texts = self._decoded()
        return whole_lines(texts) if self.growing and self.kind == ".csv" else texts

    def _decoded(self) -> Iterator[bytes]:
        decoder: codecs.IncrementalDecoder | None = None
        for number, chunk in enumerate(self.chunks()):
            if number == 0 and chunk[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                decoder = codecs.getincrementaldecoder("utf-16")()
            if decoder is None:
                yield chunk.removeprefix(codecs.BOM_UTF8) if number == 0 else chunk
                continue
            try:
                yield decoder.decode(chunk).encode()
            except UnicodeError as error:
                raise unreadable(self, error) from error

    def content(self) -> bytes:
        """Unpack the whole file; see `chunks`, and `start` for one that is empty."""
        self.start()
        return b"".join(self.chunks())

    def start(self) -> bytes:
        """Unpack the first `CHUNK` bytes.

        Raises
        ------
        NotCandlesError
            If it is empty.
        UserError
            As `chunks`.
        """
        start = next(self.texts() if self.kind in TEXTS else self.chunks(), b"")
        if not start.strip():
            raise NotCandlesError(f"{self} is empty: download or export it again.", "empty")
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
        for chunk in self.texts():
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


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out what follows the last end of a line."""
    held = b""
    for chunk in chunks:
        held += chunk
        end = max(held.rfind(b"\n"), held.rfind(b"\r")) + 1
        yield held[:end]
        held = held[end:]


def kind_of(name: str) -> str:
    """Return the kind of a file by its name, one of `KINDS` if it may hold candles."""
    suffixes = PurePosixPath(name.lower()).suffixes
    kind = "".join(suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:])
    return ALIASES.get(kind, kind)


def unreadable(what: Member | Path, error: Exception) -> UserError:
    """Say that a file is damaged, locked or packed in an unknown way."""
    reason = str(error) or type(error).__name__
    return UserError(f"{what} cannot be read: {reason.rstrip('.')}. Download or copy it again.")
