"""Does the base model come out right every time? Trains it from several seeds and prints the gate's table.

python -m tests.bench seeds            # five seeds of the toy profile, about five minutes each on two cores
"""

from __future__ import annotations

import pandas as pd
import torch

from s1lib.profile import load_profile
from s1lib.toy.pretrain import GATE, pretrain
from s1lib.toy.tokenizer import build_tokenizer

SEEDS = (0, 1, 2, 3, 4)


def main(seeds: tuple[int, ...] = SEEDS) -> None:
    profile = load_profile("toy")
    torch.set_num_threads(profile.threads)
    rows = []
    for seed in seeds:
        options = {
            "seed": seed,
            "context": profile.sft.max_length,
            "log": lambda _: None,
            "processes": min(2, profile.threads),
        }
        trained = pretrain(build_tokenizer(), profile.universe.large, **options)
        shares = {
            row["skill"]: 100 * row["share"] for row in trained.gate
        }  # the last of each skill
        rows.append(
            {
                "seed": seed,
                "passed": trained.passed,
                "M tokens": trained.curve[-1]["tokens"] / 1e6,
                "seconds": trained.seconds,
                **shares,
            }
        )
        print(
            f"seed {seed}: gate {'passed' if trained.passed else 'not passed'} after {trained.seconds:.0f} s",
            flush=True,
        )
    print(
        f"\nbase-large of the toy profile, {torch.get_num_threads()} threads; the gate asks for {GATE}; shares in %"
    )
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
