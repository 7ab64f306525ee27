"""What every process of a rehearsed launch runs: they meet, add up to their number, and part.

launch("s1lib.rehearsal.meeting", [], processes=8, name="meeting")  # "meeting: 8 processes met"
"""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist
from accelerate import PartialState


def main() -> None:
    state = PartialState()
    one = torch.ones(1, device=state.device)
    dist.all_reduce(one)
    if state.is_main_process:
        print(f"meeting: {int(one)} processes met over {dist.get_backend()}", flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # as in sft/training_process.py
