"""Start the processes of a training and follow their log.

    launch("s1lib.sft.training_process", arguments, processes=8, name="s1", log=print)

On GPUs the processes shard the model (accelerate, FSDP2). On CPUs each has a copy (torchrun, gloo),
which is what the tests compare with one process. Slurm's scripts start the same command on every
node, with the same environment:

    python -m s1lib.hardware.launcher --processes 16 --nodes 2 --node 0 --head host-of-node-0 \
        s1lib.sft.training_process --profile h100x16 --set s1
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from s1lib.hardware.base_model import TrainingError

ACCELERATE = Path(__file__).resolve().parent.parent / "profiles" / "accelerate" / "fsdp2.yaml"
PINNED_AS_IT_IS = "pinned_max_round_threshold_mb:1"  # else rounded up to powers of two
PORT = 29500  # of the first node, where the processes of several nodes meet
ERROR = "error: "  # how a process's last word begins, see `training_process.py`
EXCEPTION = re.compile(r"^(?:\[rank\d+\]: ?)?(?P<what>[\w.]+(?:Error|Exception|Interrupt)\b.*)")
FAILED = re.compile(r"failed \(exitcode: (-?\d+)\)")  # torchrun's first line about a process


def was_launched() -> bool:
    """Whether this is a process that accelerate or torchrun started for a training."""
    return "LOCAL_RANK" in os.environ


def world_size() -> int:
    """Number of processes of the training that this one is part of."""
    return int(os.environ["WORLD_SIZE"]) if was_launched() else 1


def is_main_process() -> bool:
    """Whether this process writes and speaks for all of them."""
    return os.environ.get("RANK", "0") == "0"


def launch(
    module: str,
    arguments: Sequence[str],
    *,
    processes: int,
    name: str,
    log: Callable[[str], None] = print,
) -> None:
    """Run `module` in `processes` processes of this machine until all have ended.

    Lines that begin with `name` go to `log`. What stops this process stops them too. Raises
    TrainingError with the reason that one of them gave, or with too few GPUs.
    """
    if torch.cuda.is_available() and torch.cuda.device_count() < processes:
        raise TrainingError(
            f"sft.processes = {processes}, and this machine has {torch.cuda.device_count()} GPUs: "
            "start slurm/sft_2x8.sbatch, then run the notebook, which finds the model"
        )
    process = subprocess.Popen(
        [*command(processes), "-m", module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**environment(processes), **os.environ},
        start_new_session=True,  # so that the whole group can be stopped
    )

    # The log is passed on as it comes, and its end is kept for the reason of a failure.
    said: deque[str] = deque(maxlen=2000)
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

    # The process that gave up says why, and torchrun's report below says only that it failed.
    if status:
        last_words = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
        if last_words:
            raise TrainingError(last_words[0])
        raise TrainingError(f"{name}: {_reason(list(said))}")


def _reason(said: Sequence[str]) -> str:
    """Why a process failed: its own exception, which torchrun's report does not repeat."""
    # What is raised after the report is torchrun's own error.
    report = next((place for place, line in enumerate(said) if FAILED.search(line)), len(said))
    raised = [match["what"] for match in map(EXCEPTION.match, said[:report]) if match]
    if raised:
        return raised[-1]
    if report == len(said):
        return "the launcher ended without a word"

    # Nothing was raised: the process ended itself, or was killed.
    status = int(FAILED.search(said[report])[1])
    if status >= 0:
        return f"a process ended with status {status}"
    full = "; is the host memory full?" if -status == signal.SIGKILL else ""
    return f"a process was ended by {signal.Signals(-status).name}{full}"


def command(processes: int, *, nodes: int = 1, node: int = 0, head: str = "localhost") -> list[str]:
    """The command that starts this node's processes, without the module and its arguments."""
    if not torch.cuda.is_available():  # here accelerate would start a single one
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        return [*launcher, "--nproc_per_node", str(processes)]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    launcher += [str(ACCELERATE), "--num_processes", str(processes)]
    if nodes == 1:
        return [*launcher, "--main_process_port", "0"]  # any that is free
    place = {"num_machines": nodes, "machine_rank": node}
    place |= {"main_process_ip": head, "main_process_port": PORT}
    return [*launcher, *(part for key, value in place.items() for part in (f"--{key}", str(value)))]


def environment(processes: int, *, nodes: int = 1) -> dict[str, str]:
    """Variables that the launchers leave at values with which offloading is slow or fails."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = max(1, cores * nodes // processes)  # AdamW runs on the host
    settings = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    if _known(PINNED_AS_IT_IS):
        settings["PYTORCH_ALLOC_CONF"] = PINNED_AS_IT_IS
    return settings


def _known(setting: str) -> bool:
    """Whether this torch's allocator takes the setting: 2.11 dies of it at its first CUDA call."""
    try:
        torch._C._accelerator_setAllocatorSettings(setting)
    except (AttributeError, RuntimeError, ValueError):
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    """Become the launcher of one node's processes, as Slurm's scripts ask."""
    parser = argparse.ArgumentParser(prog="python -m s1lib.hardware.launcher")
    parser.add_argument("--processes", type=int, required=True, help="of all nodes together")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--node", type=int, default=0, help="this one, from 0")
    parser.add_argument("--head", default="localhost", help="the first node's host name")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the module")
    asked = parser.parse_args(arguments)
    start = command(asked.processes, nodes=asked.nodes, node=asked.node, head=asked.head)
    variables = {**environment(asked.processes, nodes=asked.nodes), **os.environ}
    os.execve(start[0], [*start, "-m", asked.module, *asked.arguments], variables)


if __name__ == "__main__":
    main()
