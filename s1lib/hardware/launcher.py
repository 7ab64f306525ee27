"""One training in several processes: how notebook 02 starts it, and what each process runs.

    accelerate launch --config_file s1lib/profiles/accelerate/fsdp2.yaml --num_processes 8 \
        -m s1lib.hardware.launcher --profile h100 --set s1

On GPUs the processes shard the model (FSDP2); on CPUs each has a copy (gloo), which is what the tests compare with one
process. The notebook hands over the very samples it holds, in a file; Slurm's script names the set.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.distributed as dist

from s1lib.curation.pool import Sample
from s1lib.hardware.base_model import TrainingError, load_tokenizer
from s1lib.profile import SFT, Profile, TrainingSet, load_profile

ACCELERATE = Path(__file__).resolve().parent.parent / "profiles" / "accelerate" / "fsdp2.yaml"


def launch(samples: Sequence[Sample], *, profile: Profile, name: str, out: Path, log: Callable[[str], None] = print) -> None:
    """Train in `sft.processes` processes of this machine and follow their log; raises TrainingError with their last word.

    What stops this process stops them; their checkpoints stay, and the next call goes on from the last.
    """
    settings = dataclasses.replace(profile.sft, base=profile.resolve(profile.sft.base))
    if torch.cuda.is_available() and torch.cuda.device_count() < settings.processes:
        raise TrainingError(
            f"sft.processes = {settings.processes}, and this machine has {torch.cuda.device_count()} GPUs: start slurm/sft_2x8.sbatch, "
            "then run the notebook, which finds the model"
        )
    with tempfile.TemporaryDirectory() as place:
        job = Path(place) / "job.json"
        content = {"name": name, "out": str(out.resolve()), "sft": dataclasses.asdict(settings)}
        job.write_text(json.dumps({**content, "samples": [dataclasses.asdict(sample) for sample in samples]}), encoding="utf-8")
        process = subprocess.Popen(
            [*command(settings), "-m", "s1lib.hardware.launcher", "--job", str(job)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(settings.processes), **os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        said: deque[str] = deque(maxlen=200)
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                if line.startswith(f"{name}: "):
                    log(line.rstrip())
            status = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
    if status:
        errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        raise TrainingError(errors[0] if errors else f"{name}: the processes ended with status {status}: {' | '.join(list(said)[-3:])}")


def environment(processes: int) -> dict[str, str]:
    """What the launchers leave at values that suit no offloading: one thread, and pinned memory in powers of two."""
    threads = max(1, (os.cpu_count() or 1) // processes)  # AdamW runs on the host
    return {"OMP_NUM_THREADS": str(threads), "PYTORCH_ALLOC_CONF": "pinned_max_round_threshold_mb:1"}


def command(settings: SFT) -> list[str]:
    """Start this machine's processes: with accelerate and sharded on GPUs; on CPUs with torchrun (accelerate would start one)."""
    count = str(settings.processes)
    if not torch.cuda.is_available():
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", count]
    start = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(ACCELERATE), "--num_processes", count]
    return [*start, "--main_process_port", "0"]


def main(arguments: Sequence[str] | None = None) -> int:
    """What every process runs; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m s1lib.hardware.launcher", description="one process of a training")
    parser.add_argument("--job", default=None, help="the notebook's file")
    parser.add_argument("--profile", default=None)
    parser.add_argument("--outputs", default=None)
    parser.add_argument("--set", default="s1", help="one of the models that the profile lists")
    options = parser.parse_args(arguments)
    from s1lib.chat import ChatFormatError
    from s1lib.hardware.checkpoints import CheckpointError
    from s1lib.sft.dataset import SFTDataError
    from s1lib.sft.train import train, was_launched

    try:
        if not was_launched():
            raise TrainingError("this is one process of several: start it with `accelerate launch` (slurm/ has both scripts)")
        samples, profile, name, out = _from_file(Path(options.job)) if options.job else _from_profile(options)
        os.environ["FSDP_OFFLOAD_PARAMS"] = str(profile.sft.offload).lower()  # the profile decides, however this was started
        os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if profile.sft.bf16 else "no"
        train(samples, profile=profile, name=name, out=out, log=_say)
        if dist.is_initialized():  # it is not where the model was finished before
            dist.barrier()  # one that dies on its way out takes the others with it, the one that still writes the model too
            dist.destroy_process_group()
    except (TrainingError, SFTDataError, CheckpointError, ChatFormatError) as error:
        print(f"error: {error}", flush=True)
        return 1
    return 0


def _say(line: str) -> None:
    if os.environ["RANK"] == "0":
        print(line, flush=True)


def _from_file(job: Path) -> tuple[list[Sample], Profile, str, Path]:
    content = json.loads(job.read_text(encoding="utf-8"))
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in content["sft"].items()}
    settings = SFT(**{**values, "published": tuple(TrainingSet(**one) for one in values["published"])})
    return [Sample(**sample) for sample in content["samples"]], Profile("job", sft=settings), content["name"], Path(content["out"])


def _from_profile(options: argparse.Namespace) -> tuple[list[Sample], Profile, str, Path]:
    from s1lib.chat import ChatFormat
    from s1lib.sft.training_sets import samples_of

    profile, name = load_profile(options.profile, outputs=options.outputs), options.set
    chat = ChatFormat(load_tokenizer(profile.resolve(profile.sft.base)))
    return samples_of(name, profile, chat), profile, name, profile.stage("02_sft") / "models" / name


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # without tearing the interpreter down: now and then a library's thread aborts a process that does
