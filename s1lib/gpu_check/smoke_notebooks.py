"""Do all notebooks run on this device? The smoke profile, in outputs of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator

from s1lib.gpu_check.check_report import Figure

DONE = re.compile(r"(?P<notebook>\w+): done in (?P<seconds>\d+) s")


def measure(device: str) -> Iterator[Figure]:
    """A figure for every notebook as it is done. This process may be seen by `device` alone."""
    with tempfile.TemporaryDirectory(prefix="s1-check-") as outputs:
        command = [sys.executable, "-m", "s1lib", "reproduce", "--profile", "smoke"]
        process = subprocess.Popen(
            [*command, "--outputs", outputs],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        said: deque[str] = deque(maxlen=1)
        try:
            for line in process.stdout:
                said.append(line.strip() or said[-1])
                if done := DONE.match(line):
                    yield Figure(done["notebook"], {"seconds": int(done["seconds"])}, True)
            if process.wait():
                yield Figure("the smoke profile", {}, False, said[-1])
        finally:
            process.terminate()
            process.wait()
