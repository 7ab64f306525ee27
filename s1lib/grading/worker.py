"""The process that does the algebra: `work()` is its life, and `processes` starts it.

One JSON line [found, gold, seconds] in, two lines out: BEGUN, then true, false, or null when the
time was up. A null that follows no BEGUN is of a child that died while nobody asked.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from typing import BinaryIO

MEMORY_BYTES = 4 << 30  # address space of a worker
BEGUN = b"begun\n"


def work() -> None:
    """Import sympy once, and leave the computing to child processes.

    A child may die of its alarm, of its memory limit or of a library's bug; the next one is there
    at once.
    """
    import s1lib.grading.algebra  # noqa: F401  imported here, so that every child has it

    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    while True:
        child = os.fork()
        if not child:
            _serve(sys.stdin.buffer, replies)
            os._exit(0)
        if not os.waitpid(child, 0)[1]:
            return
        replies.write(b"null\n")
        replies.flush()


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until they end, or die of SIGALRM, which no computation can hold up."""
    from s1lib.grading.algebra import same

    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    while line := requests.readline():
        replies.write(BEGUN)
        replies.flush()
        found, gold, seconds = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            equal = same(found, gold)
        except Exception:  # whatever sympy makes of untrusted text: it is not equal
            equal = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(equal).encode() + b"\n")
        replies.flush()
