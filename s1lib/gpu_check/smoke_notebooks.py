"""Do all notebooks run on this device? The smoke profile, in outputs of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec

from s1lib.gpu_check.check_report import Figure, NotRunError

NEEDED = ("papermill", "ipykernel", "math_verify", "pandas", "scipy", "seaborn")
DONE = re.compile(r"(?P<notebook>\w+): done in (?P<seconds>\d+) s")


def measure(device: str) -> Iterator[Figure]:
    """A figure for every notebook as it is done, on the device that this process sees.

    Raises NotRunError where a library is missing that only notebooks need.
    """
    if missing := [name for name in NEEDED if not find_spec(name)]:
        raise NotRunError(f"{', '.join(missing)} cannot be imported here")
    with tempfile.TemporaryDirectory(prefix="s1-check-") as outputs:
        command = [sys.executable, "-m", "s1lib", "reproduce", "--profile", "smoke"]
        process = subprocess.Popen(
            [*command, "--outputs", outputs],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        last = ""
        try:
            for line in process.stdout:
                last = line.strip() or last
                if done := DONE.match(line):
                    yield Figure(done["notebook"], {"seconds": int(done["seconds"])}, True)
            if process.wait():
                yield Figure("the smoke profile", {}, False, last)
        finally:
            process.terminate()
            process.wait()
