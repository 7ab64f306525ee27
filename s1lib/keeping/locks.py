"""One writer at a time: a second run on the same outputs is refused, and told who the first one is.

    with take_lock(profile.outputs / ".locks" / "run", what="outputs/toy"):
        ...

The operating system frees a lock when its process ends, however it ends, so a killed run leaves
none behind.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import TextIO

from s1lib.errors import S1Error


class LockError(S1Error):
    """Another run writes to the same place, or nobody can write there."""


def take_lock(path: Path, *, what: str, patience: float = 0.0) -> TextIO:
    """Lock `path` until the file that is returned is closed or this process ends.

    Another process that holds the lock is waited for `patience` seconds. Then LockError names it
    and `what` it writes to. Where the file system has no locks, nothing is refused.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise LockError(
            f"cannot write to {path.parent.parent}: {error.strerror}; "
            "choose another place (make: OUTPUTS=…)"
        ) from None

    # Whoever holds the lock has written into the file who it is.
    deadline = time.monotonic() + patience
    while not _locked(file):
        if time.monotonic() >= deadline:
            file.seek(0)
            holder = file.read() or "another process"
            file.close()
            raise LockError(f"{what} is in use by {holder}: wait until it has ended, or end it")
        time.sleep(0.1)

    file.truncate(0)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(f"process {os.getpid()} on {socket.gethostname()}, since {started}")
    file.flush()
    return file


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True
