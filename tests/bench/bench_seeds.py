"""Does the base model come out right every time? Trains it from several seeds; the gate's table.

    python -m tests.bench seeds            # five seeds of the toy profile

A seed takes about five minutes on two cores.
"""

from __future__ import annotations

import pandas as pd
import torch

from s1lib.profile import load_profile
from s1lib.toy.gate import GATE
from s1lib.toy.pretrain import pretrain
from s1lib.toy.tokenizer import build_tokenizer

SEEDS = (0, 1, 2, 3, 4)


def main(seeds: tuple[int, ...] = SEEDS) -> None:
    profile = load_profile("toy")
    torch.set_num_threads(profile.threads)
    rows = []
    for seed in seeds:
        trained = pretrain(
            build_tokenizer(),
            profile.universe.large,
            seed=seed,
            context=profile.sft.max_length,
            log=lambda _: None,
            processes=min(2, profile.threads),
        )
        verdict = "passed" if trained.passed else "not passed"
        print(f"seed {seed}: gate {verdict} after {trained.seconds:.0f} s", flush=True)
        facts = {"seed": seed, "passed": trained.passed, "seconds": trained.seconds}
        shares = {row["skill"]: 100 * row["share"] for row in trained.gate}  # the last of each
        rows.append({**facts, "M tokens": trained.curve[-1]["tokens"] / 1e6, **shares})

    print(f"\nbase-large of the toy profile, {torch.get_num_threads()} threads; shares in %")
    print(f"the gate asks for {GATE}")
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
