"""The plan's simulated memory beside a real step on the CPU, from the allocator's own record.

    python -m tests.bench.bench_memory

A small Qwen2, alone under autocast and in two gloo processes under FSDP2, is stepped once for the
optimiser's states, then one micro-batch and one more step are profiled: the peak is what parameters
and states take plus the highest sum of torch's allocations and frees.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from transformers import Qwen2Config

from s1lib.hardware import simulated_step as memory
from s1lib.profile import SFT

LENGTH, MIB = 1024, 2**20
CASES = {
    "alone": (1, {}),
    "alone, without checkpointing": (1, {"gradient_checkpointing": False}),
    "alone, adapters": (1, {"lora_rank": 16}),
    "two processes": (2, {}),
    "two processes, without checkpointing": (2, {"gradient_checkpointing": False}),
}


def config() -> Qwen2Config:
    sizes = {
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return Qwen2Config(vocab_size=8000, max_position_embeddings=2048, **sizes)


def settings(processes: int, changes: dict) -> SFT:
    return SFT(batch_size=processes, micro_batch_size=1, processes=processes, **changes)


def local_bytes(tensors: list[torch.Tensor]) -> int:
    return sum(t.to_local().nbytes if hasattr(t, "to_local") else t.nbytes for t in tensors)


def worker(rank: int, processes: int, changes: dict, port: int, place: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    setup, chosen = config(), settings(processes, changes)
    setup._attn_implementation, setup.use_cache = "sdpa", False
    model = memory.prepare(setup, chosen)
    with contextlib.ExitStack() as stack:
        if processes > 1:
            dist.init_process_group("gloo", rank=rank, world_size=processes)
            stack.callback(dist.destroy_process_group)
            memory.shard(model, init_device_mesh("cpu", (processes,)), chosen)
        measure(model, chosen, report=Path(place) / f"{rank}")


def measure(model: torch.nn.Module, chosen: SFT, *, report: Path) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], foreach=False)
    ids = torch.randint(8000, (1, LENGTH))

    def step() -> None:
        memory.micro_step(model, ids, chosen)
        optimizer.step()

    step()
    optimizer.zero_grad()
    states = [t for state in optimizer.state.values() for t in state.values()]
    held = local_bytes([*model.parameters(), *states])
    with torch.profiler.profile(profile_memory=True) as profiler:
        step()
    events = sorted(
        (e.start_ns(), e.nbytes())
        for e in profiler.profiler.kineto_results.events()
        if e.name() == "[memory]"
    )
    now = highest = 0
    for _, size in events:
        now += size
        highest = max(highest, now)
    report.write_text(f"{held} {held + highest}")


def real(processes: int, changes: dict) -> tuple[int, int]:
    """Bytes of (parameters and states, the highest moment of a step) in the first process."""
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        multiprocessing.spawn(worker, (processes, changes, port, place), nprocs=processes)
        held, peak = map(int, (Path(place) / "0").read_text().split())
    return held, peak


def simulated(processes: int, changes: dict) -> tuple[int, int]:
    found = memory.simulate(config(), settings(processes, changes), length=LENGTH)
    return found.parameters + found.optimiser, found.peak


def main() -> dict[str, float]:
    ratios = {}
    print(f"{'MiB':38} {'states':>8} {'real':>8} {'peak':>8} {'real':>8}  ratio")
    for name, case in CASES.items():
        (states, peak), (held, highest) = simulated(*case), real(*case)
        sizes = " ".join(f"{size / MIB:8.1f}" for size in (states, held, peak, highest))
        ratios[name] = peak / highest
        print(f"{name:38} {sizes}  {peak / highest:.3f}")
    return ratios


if __name__ == "__main__":
    main()
