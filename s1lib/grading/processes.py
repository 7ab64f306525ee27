"""The processes that compare what takes algebra; each can be killed, and is kept for the next call.

Answers are untrusted text: `9^{9^{9^9}}` must cost its seconds, not a run.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from s1lib.errors import S1Error
from s1lib.grading import worker
from s1lib.grading.comparer import decided, spellings

SECONDS = 5.0  # per pair of answers
_MOST_KEPT = 200_000  # verdicts


class GradingError(S1Error):
    """Answers cannot be compared on this machine."""


Pair = tuple[str, str]  # an answer as it was found, and the gold answer


def verdicts(
    pairs: Iterable[Pair], *, processes: int | None = None, seconds: float = SECONDS
) -> dict[Pair, bool]:
    """Whether the found answer of each (found, gold) pair is the gold one.

    What takes no algebra never reaches a worker. processes: workers, default one per core.
    seconds: the most that one pair may take; past it the answers are not equal.
    """
    equal = {pair: decided(*pair) for pair in dict.fromkeys(pairs)}
    asked = {pair: spellings(*pair) for pair, verdict in equal.items() if verdict is None}

    # A verdict is kept: the answers of one problem are compared again and again.
    answers = {spelled: _known.get((*spelled, seconds)) for spelled in asked.values()}
    unknown = sorted(spelled for spelled, verdict in answers.items() if verdict is None)
    with ThreadPoolExecutor(processes or os.cpu_count()) as threads:
        verified = threads.map(lambda spelled: _verify(spelled, seconds), unknown)
        answers |= dict(zip(unknown, verified, strict=True))
    if len(_known) > _MOST_KEPT:
        _known.clear()
    _known.update({(*spelled, seconds): answers[spelled] for spelled in unknown})
    return equal | {pair: answers[spelled] for pair, spelled in asked.items()}


_known: dict[tuple[str, str, float], bool] = {}  # verdicts of the workers


class _Worker:
    """One process that runs `worker.work()`; it ends with this one."""

    def __init__(self) -> None:
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
        command = [sys.executable, "-c", f"import {worker.__name__} as worker; worker.work()"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)

    def equal(self, found: str, gold: str, seconds: float) -> bool | None:
        """The verdict, None when the time was up. Raises EOFError when the worker is gone."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([found, gold, seconds]).encode() + b"\n")
            self.process.stdin.flush()
        begun = False
        while line := self.process.stdout.readline():
            if begun:
                return json.loads(line)
            begun = line == worker.BEGUN
        raise EOFError

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


_idle: list[_Worker] = []  # a worker takes a second to import sympy: it is kept for the next call


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop().close()


def _verify(pair: Pair, seconds: float) -> bool:
    """A worker's verdict on a pair of spellings; what takes too long is not equal.

    Nor is what ends two workers. Raises GradingError where they end whatever they are asked.
    """
    for _ in range(2):
        with contextlib.suppress(EOFError):
            return _asked(pair, seconds)
    try:
        _asked(("x+1", "1+x"), 60.0)
    except EOFError:
        raise GradingError(
            "the processes that compare answers end at once: is there memory for them, and does "
            "`python -c 'import s1lib.grading.algebra'` work?"
        ) from None
    return False


def _asked(pair: Pair, seconds: float) -> bool:
    """The verdict of a worker, kept or new. Raises EOFError when it is gone."""
    try:
        process = _idle.pop()
    except IndexError:
        process = _Worker()
    try:
        verdict = process.equal(*pair, seconds)
    except EOFError:
        process.close()
        raise
    _idle.append(process)
    return bool(verdict)
