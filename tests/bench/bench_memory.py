"""The plan's simulated memory beside a real step: two gloo processes on the CPU, real tensors, the allocator's own record.

    python -m tests.bench.bench_memory

A small Qwen2 is sharded, stepped once for the optimiser's states, then one micro-batch and one more step are profiled: the
peak is what parameters and states take plus the highest sum of torch's allocations and frees.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from transformers import AutoModelForCausalLM, Qwen2Config

from s1lib.sft import memory

GPUS, LENGTH, MIB = 2, 1024, 2**20


def config() -> Qwen2Config:
    sizes = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2}
    return Qwen2Config(vocab_size=8000, max_position_embeddings=2048, **sizes)


def local_bytes(tensors: list[torch.Tensor]) -> int:
    return sum(t.to_local().nbytes if hasattr(t, "to_local") else t.nbytes for t in tensors)


def worker(rank: int, port: int, place: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=GPUS)
    setup = config()
    setup._attn_implementation, setup.use_cache = "sdpa", False
    model = AutoModelForCausalLM.from_config(setup, dtype=torch.float32)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    memory._prepare_loss(model)
    memory._shard(model, init_device_mesh("cpu", (GPUS,)))
    optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
    ids = torch.randint(8000, (1, LENGTH))

    def step() -> None:
        model(input_ids=ids, labels=ids, fused_lm_head=True).loss.backward()
        optimizer.step()

    step()
    optimizer.zero_grad()
    states = [t for state in optimizer.state.values() for t in state.values()]
    held = local_bytes(list(model.parameters())) + local_bytes(states)
    with torch.profiler.profile(profile_memory=True) as profiler:
        step()
    events = sorted((e.start_ns(), e.nbytes()) for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]")
    now = highest = 0
    for _, size in events:
        now += size
        highest = max(highest, now)
    if rank == 0:
        (Path(place) / "peak").write_text(f"{held} {highest}")
    dist.destroy_process_group()


def main() -> None:
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        multiprocessing.spawn(worker, (port, place), nprocs=GPUS)
        held, highest = map(int, (Path(place) / "peak").read_text().split())
    simulated, _ = memory.simulate(config(), gpus=GPUS, accumulation=1, length=LENGTH)
    states = simulated.parameters + simulated.optimiser
    real = held + highest
    print(f"parameters and states: simulated {states / MIB:.1f} MiB, real {held / MIB:.1f} MiB")
    print(f"peak: simulated {simulated.peak / MIB:.1f} MiB, real {real / MIB:.1f} MiB, ratio {simulated.peak / real:.2f}")


if __name__ == "__main__":
    main()
