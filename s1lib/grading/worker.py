"""Is an answer right? Mathematics by math-verify, multiple choice by its letter (s1_facts section 6, rules 8 and 9).

    grade("... so Answer: 07", "7")                 # Grade(extracted="07", correct=True)
    grade_many([("Answer: (B)", "B", "choice")])    # [Grade(extracted="B", correct=True)]

Only the answer segment is graded, never the thinking. Integers and identical strings are compared at once; whatever is
left goes to math-verify in processes of its own, one expression at a time, each killed when its time is up: answers
are untrusted text, and `9^{9^{9^9}}` must cost its seconds, not a run. The official evaluation lets a language model with
the gold answer in view pick the answer, and counts "no letter" as A (a free 25 %); here what cannot be read is wrong,
and `official_choice` gives that other reading for comparison.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from s1lib.grading.reader import extract_answer

SECONDS = 5.0  # per expression
MEMORY_BYTES = 4 << 30  # address space of a worker
_INTEGER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)")
_ASSIGNED = re.compile(r"^[A-Za-z]=(?=[^=]*$)")  # the "x =" of "x = 58,500"
_WORDS = re.compile(r"\\(?:text|textbf|textit|mbox|mathrm)\{([^{}]*)\}")
_LETTER = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\b|[\s(\[{$*])*([A-Z])(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Grade:
    """extracted: the answer as found, None when there is none (then it is wrong)."""

    extracted: str | None
    correct: bool


def grade(answer: str, gold: str, kind: str = "math") -> Grade:
    """Grade one answer segment against `gold`; see `grade_many`, which shares its workers over many."""
    return grade_many([(answer, gold, kind)])[0]


def grade_many(items: Iterable[tuple[str, str, str]], *, processes: int | None = None, seconds: float = SECONDS) -> list[Grade]:
    """Grade (answer segment, gold, kind) triples, in order; kind is "math" or "choice".

    processes: workers for what needs math-verify, default one per core. seconds: the most one expression may take;
    past it the answer counts as wrong. Usable from any thread, event loop or notebook.
    """
    items = list(items)
    extracted = [_letter(answer) if kind == "choice" else extract_answer(answer) for answer, _, kind in items]
    verdicts = [_at_once(found, gold, kind) for found, (_, gold, kind) in zip(extracted, items, strict=True)]
    open_pairs = sorted({(found, gold) for found, (_, gold, _), verdict in zip(extracted, items, verdicts, strict=True) if verdict is None})
    with ThreadPoolExecutor(processes or os.cpu_count()) as threads:
        equal = dict(zip(open_pairs, threads.map(lambda pair: _verify(pair, seconds), open_pairs), strict=True))
    return [
        Grade(found, equal[found, gold] if verdict is None else verdict)
        for found, (_, gold, _), verdict in zip(extracted, items, verdicts, strict=True)
    ]


def _letter(answer: str) -> str | None:
    """The letter that opens the extracted answer: "B", "(B)", "B) 42", "\\text{B}" are all B."""
    found = _LETTER.match(extract_answer(answer) or "")
    return found[1] if found else None


def official_choice(extracted: str | None, gold: str) -> bool:
    """Whether the official evaluation would count this answer to a choice as right: no letter counts as A (s1_facts section 1, 7)."""
    return (extracted or "A") == gold.strip().upper()


def _at_once(found: str | None, gold: str, kind: str) -> bool | None:
    """The verdict that needs no algebra, or None."""
    if found is None:
        return False
    if kind == "choice":
        return found == gold.strip().upper()
    left, right = _normalised(found), _normalised(gold)
    if "=" not in right:
        left = _ASSIGNED.sub("", left)
    integers = _integer(left), _integer(right)
    if None not in integers:
        return integers[0] == integers[1]
    return True if left == right else None


def _normalised(text: str) -> str:
    """`text` without what never changes a value: spaces, dollar signs, \\left and \\right, \\text around words, a final full stop."""
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\$", "").strip("* ")
    text = _WORDS.sub(r"\1", text)
    return re.sub(r"\\left(?![a-z])|\\right(?![a-z])|\\[!,; ]|\$|\s+", "", text).removesuffix(".")


def _integer(text: str) -> tuple[bool, str] | None:
    """(negative, digits) of a plain integer; as text, because a model may write ten thousand digits."""
    found = _INTEGER.fullmatch(text)
    if not found:
        return None
    digits = found[2].replace(",", "").lstrip("0") or "0"
    return found[1] == "-" and digits != "0", digits


# ---- math-verify, in processes that may be killed ----------------------------------------------------------------------


class _Worker:
    """`python -m s1lib.grading.worker`: one JSON line [found, gold, seconds] in, true, false or null (time up) out."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parent.parent.parent), *sys.path])}
        command = [sys.executable, "-m", "s1lib.grading.worker"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)

    def equal(self, found: str, gold: str, seconds: float) -> bool | None:
        """The verdict, None when the time was up. Raises EOFError when the worker is gone."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([found, gold, seconds]).encode() + b"\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


_idle: list[_Worker] = []  # a worker takes a second to import sympy: it is kept for the next call


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop().close()


def _verify(pair: tuple[str, str], seconds: float) -> bool:
    """math-verify's verdict on a (found, gold) pair; what takes too long is not equal."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    try:
        verdict = worker.equal(*pair, seconds)
    except EOFError:
        worker.close()
        return False
    _idle.append(worker)
    return bool(verdict)


def _work() -> None:
    """A worker's life: import once, and leave the computing to a child, which may die of its alarm, of hunger or of a bug in a library."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig  # noqa: F401  imported here, so that every child has it

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
    """Answer requests until they end; out of time, die of SIGALRM, which no computation can hold up."""
    import logging
    import resource

    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    configs = [LatexExtractionConfig(), ExprExtractionConfig()]

    @lru_cache(maxsize=1000)  # one gold answer is compared with many
    def read(text: str) -> list:
        """Parsed as it stands when it marks its mathematics or is prose, as one boxed expression otherwise."""
        text = text.replace("\\$", "").strip("* ")
        marked = "$" in text or "\\(" in text or "\\[" in text
        return parse(text if marked else f"\\boxed{{{text}}}", configs, parsing_timeout=None)

    while line := requests.readline():
        found, gold, seconds = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:  # not symmetric: gold first
            equal = bool(verify(read(gold), read(found), timeout_seconds=None))
        except Exception:  # whatever sympy makes of untrusted text: it is not equal
            equal = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(equal).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    _work()
