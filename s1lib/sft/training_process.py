"""The program of every process of a launched training.

    accelerate launch --config_file s1lib/profiles/accelerate/fsdp2.yaml --num_processes 8 \
        -m s1lib.sft.training_process --profile h100 --set s1

Notebook 02 hands over the samples that it holds, in a file, and Slurm's scripts name the set.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch.distributed as dist

from s1lib.chat import ChatFormat
from s1lib.curation.pool import Sample
from s1lib.errors import S1Error
from s1lib.hardware.base_model import TrainingError, load_tokenizer
from s1lib.hardware.launcher import ERROR, is_main_process, was_launched
from s1lib.keeping.files import read_jsonl
from s1lib.profile import Replica, load_profile, path_of
from s1lib.sft.train import train
from s1lib.sft.training_sets import samples_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process of a training and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m s1lib.sft.training_process")
    parser.add_argument("--profile")
    parser.add_argument("--outputs")
    parser.add_argument("--set", default="s1", help="one of the models that the profile lists")
    parser.add_argument("--base-seed", type=int, default=0, help="which of several base models")
    parser.add_argument("--sft-seed", type=int, default=0, help="which of several trainings of it")
    parser.add_argument("--samples", help="JSON lines to train on instead of the profile's")
    parser.add_argument("--out", help="the model's directory, if not that of notebook 02")
    try:
        _train(parser.parse_args(arguments))
    except S1Error as error:
        print(f"{ERROR}{error}", flush=True)
        return 1
    return 0


def _train(options: argparse.Namespace) -> None:
    if not was_launched():
        raise TrainingError(
            "this is one process of several: start it with `accelerate launch` "
            "(slurm/ has both scripts)"
        )
    profile, name = load_profile(options.profile, outputs=options.outputs), options.set

    # The profile decides, however this was started.
    os.environ["FSDP_OFFLOAD_PARAMS"] = str(profile.sft.offload).lower()
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if profile.sft.bf16 else "no"

    if options.samples:
        samples = [Sample(**row) for row in read_jsonl(options.samples)]
    else:
        chat = ChatFormat(load_tokenizer(profile.resolve(profile.sft.base)))
        samples = samples_of(name, profile, chat)
    replica = Replica(options.base_seed, options.sft_seed)
    out = Path(options.out or path_of(profile, name, replica))
    train(samples, profile=profile, name=name, replica=replica, out=out, log=_say)

    # One that dies on its way out takes the others with it, also the one that still writes.
    if dist.is_initialized():  # it is not where the model was finished before
        dist.barrier()
        dist.destroy_process_group()


def _say(line: str) -> None:
    if is_main_process():
        print(line, flush=True)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # tearing the interpreter down, a library's thread aborts it now and then
