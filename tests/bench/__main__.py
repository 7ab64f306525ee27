"""`make bench`: every benchmark of this folder in turn, or the ones named.

    python -m tests.bench                  # all
    python -m tests.bench engine sweep     # these

Ratios are measured side by side in one run.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

NAMES = [
    path.stem.removeprefix("bench_") for path in sorted(Path(__file__).parent.glob("bench_*.py"))
]


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"error: no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 1
    for name in names or NAMES:
        print(f"\n== {name} ==", flush=True)
        importlib.import_module(f"tests.bench.bench_{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
