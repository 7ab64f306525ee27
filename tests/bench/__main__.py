"""`make bench`: every benchmark of this folder in turn, or the ones named.

    python -m tests.bench                  # all
    python -m tests.bench engine sweep     # these
    python -m tests.bench --record engine  # and keep its ratios in docs/benchmarks.json

First come the machine, the versions and the speed of the host. A benchmark's `main` returns its
ratios by name, or None where it has none. Each is shown beside the last one recorded, as
information: speeds differ from host to host, ratios much less, and nothing is a timed test.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

from s1lib.errors import S1Error
from s1lib.gpu_check.this_machine import machine_name, matrix_product_speed
from s1lib.gpu_check.timed_decoding import random_prompts, with_generate
from s1lib.keeping.files import write_text
from s1lib.keeping.manifests import versions
from s1lib.profile import ROOT
from tests.bench.bench_engine import toy_model

NAMES = [
    path.stem.removeprefix("bench_") for path in sorted(Path(__file__).parent.glob("bench_*.py"))
]
RECORD = ROOT / "docs" / "benchmarks.json"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--record", action="store_true", help="keep the ratios in docs/")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        print(f"error: no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 1

    print(machine_name())
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(host_speed(), flush=True)
    failed = 0
    for name in options.names or NAMES:
        print(f"\n== {name} ==", flush=True)
        try:
            ratios = importlib.import_module(f"tests.bench.bench_{name}").main() or {}
        except S1Error as error:  # no finished run to measure, a leak: the others still count
            print(f"error: {name}: {error}", file=sys.stderr, flush=True)
            failed += 1
            continue
        compare(name, ratios)
        if options.record and ratios:
            record(name, ratios)
    return min(failed, 1)


def host_speed() -> str:
    """How fast this host is just now, in one line: a few seconds, the best of several turns.

    Two times of one commit on two hosts can be compared by it.
    """
    product = matrix_product_speed("cpu") / 1e9
    model, lengths = toy_model(), [128] * 16
    prompts = random_prompts(len(lengths), 60, model.config.vocab_size)
    seconds = min(with_generate(model, prompts, lengths, rows=len(lengths)) for _ in range(5))
    size, speed = model.num_parameters() / 1e6, sum(lengths) / seconds
    return (
        f"host: {product:,.0f} GFLOP/s in float32, "
        f"`generate` {speed:,.0f} tokens/s (toy's shape, {size:.1f}M parameters)"
    )


def recorded() -> dict[str, dict]:
    """What was last recorded of every benchmark."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def compare(name: str, ratios: dict[str, float]) -> None:
    """Print every ratio beside the one last recorded."""
    last = recorded().get(name, {})
    for what, ratio in ratios.items():
        before = last.get("ratios", {}).get(what)
        known = f"last recorded {before} on {last['date']}, {last['machine']}" if before else "new"
        print(f"-- {what}: {ratio:.3g} ({known})", flush=True)


def record(name: str, ratios: dict[str, float]) -> None:
    """Keep the ratios of this run, with its day, commit and machine."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    facts = {"date": time.strftime("%Y-%m-%d"), "commit": commit, "machine": machine_name()}
    rounded = {what: round(ratio, 3) for what, ratio in ratios.items()}
    kept = {**recorded(), name: {**facts, "ratios": rounded}}
    write_text(RECORD, json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
