"""Digest the artifacts of a configuration, and compare them with the digests in its row.

What is not a plain file is never opened: a pipe would be waited for, a link may lead anywhere.
"""

import hashlib
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

#: Bytes of an artifact: a surface of a hundred million combinations with ten metrics.
LARGEST = 4 << 30

#: Digest of a file by its path, with what changes when its bytes do: size, times and inode.
Cache = dict[str, tuple[tuple[int, ...], str]]


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder by its name, 64 hex digits."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def differences(
    folder: Path,
    digests: Mapping[str, str],
    cache: Cache | None = None,
    unread: Collection[str] = (),
) -> list[str]:
    """Say which files are not those of ``digests``: clauses, empty where all are.

    Parameters
    ----------
    unread : collection of str
        Names of files that are there, or not, without a look at their bytes.
    cache : dict, optional
        Filled by this function: a file whose size, times and inode are as they were is not read
        again.
    """
    try:
        present = {path.name: path for path in sorted(folder.iterdir())}
    except OSError as error:
        return [f"the artifacts cannot be read: {error.strerror}"] if digests else []
    clauses = [f"artifact {name} is gone" for name in digests if name not in present]
    for name, path in present.items():
        if name not in digests:
            clauses.append(f"artifact {name} was added")
            continue
        try:
            same = name in unread or digest_of(path, cache) == digests[name]
        except OSError as error:
            clauses.append(f"artifact {name} cannot be read: {error.strerror}")
            continue
        if not same:
            clauses.append(f"artifact {name} is not what was stored")
    return clauses


def check_file(path: Path, sha256: str) -> None:
    """Refuse a file that is not what was stored.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it has another digest.
    """
    if digest_of(path) != sha256:
        raise ValueError(f"artifact {path.name} is not what was stored")


def digest_of(path: Path, cache: Cache | None = None) -> str:
    """Digest a plain file, 64 hex digits; of a link, a folder or a pipe the text is empty."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
        return ""
    if cache is None:
        return sha256_of(path)
    sign = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    known = cache.get(str(path))
    if known is None or known[0] != sign:
        cache[str(path)] = known = (sign, sha256_of(path))
    return known[1]


def sha256_of(path: Path) -> str:
    """SHA-256 of a plain file, 64 hex digits; read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
