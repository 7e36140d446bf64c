"""Stop a test run's PostgreSQL when the last process that uses it has ended, however it ended.

    python postgresql_keeper.py PIPE FOLDER PG_CTL USER

Each user of the server holds the named pipe PIPE open for writing. When one is killed the system
closes it.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock


def main(pipe: Path, folder: Path, pg_ctl: str, user: str) -> None:
    """Wait for the end of the last user, then stop the server and remove its folder."""
    reader = os.open(pipe, os.O_RDONLY)  # waits for the first user
    while True:
        os.set_blocking(reader, True)
        os.read(reader, 1)  # nothing is ever written: this returns when no user is left
        with FileLock(pipe.with_name("postgresql.lock")):
            os.set_blocking(reader, False)
            try:
                os.read(reader, 1)
            except BlockingIOError:  # one has come meanwhile
                continue
            pipe.unlink()
            break
    with suppress(OSError, IndexError):  # a test that was killed may have left it frozen
        os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGCONT)
    subprocess.run(
        [pg_ctl, "-D", folder / "data", "-w", "-m", "immediate", "stop"],
        check=False,
        cwd=folder,
        user=user or None,
    )
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
