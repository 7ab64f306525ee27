"""The program of one part's process, so that a crash costs that part alone and memory comes back.

    python -m s1lib.gpu_check.part_process conformance cuda outputs/gpu/check-cuda-2026-11-26.json

A figure is one line of its output, which begins with `figure: `. So is how it ended.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from s1lib.engines.protocol import one_line
from s1lib.errors import S1Error
from s1lib.gpu_check.check_report import Figure, NotRunError

FIGURE, END = "figure: ", "end: "


def main(part: str, device: str, report: Path) -> None:
    """Run one part and write its figures as they come, then "pass", "fail" or "not run" and why."""
    signal.signal(signal.SIGTERM, _stop)
    # The engine goes on, and says so in a log. Here it has failed.
    warnings.filterwarnings("error", message="decoding without CUDA graphs")
    passed, reason = True, ""
    try:
        for figure in _figures(part, device, report):
            _say(FIGURE, dataclasses.asdict(figure))
            if figure.passed is False:
                passed, reason = False, reason or figure.reason
        result = "pass" if passed else "fail"
    except NotRunError as error:
        result, reason = "not run", str(error)
    except S1Error as error:
        result, reason = "fail", str(error)
    except Exception as error:
        traceback.print_exc()
        result, reason = "fail", one_line(error)
    _say(END, {"result": result, "reason": reason})


def _figures(part: str, device: str, report: Path) -> Iterator[Figure]:
    """The part's measurement. Each import brings in libraries that other parts do without."""
    measure: Callable[..., Iterator[Figure]]
    match part:
        case "conformance":
            from s1lib.gpu_check.conformance import measure
        case "decoding":
            from s1lib.gpu_check.decoding import measure
        case "training":
            from s1lib.gpu_check.training import measure
        case "sharded":
            from s1lib.gpu_check.sharded import measure
        case "plan":
            from s1lib.gpu_check.memory_beside_plan import measure

            return measure(device, report)
        case "vllm":
            from s1lib.gpu_check.vllm_part import measure
        case "notebooks":
            from s1lib.gpu_check.smoke_notebooks import measure
    return measure(device)


def _say(kind: str, content: dict[str, Any]) -> None:
    print(f"\n{kind}{json.dumps(content)}", flush=True)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that what was started is stopped as well


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
