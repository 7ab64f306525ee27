"""What a step of a training is made of, by torch's profiler: kernels, pauses, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from transformers import TrainerCallback

SHOWN = 60  # characters of a kernel's name


class StepProfile(TrainerCallback):
    """Profiles one step of transformers' trainer.

    device: "cpu" or "cuda". step: its number, from 0.
    peak: bytes that were held at the highest moment, on a CPU alone. A GPU's allocator knows them.
    """

    def __init__(self, device: str, step: int) -> None:
        self.device, self.step, self.peak = device, step, 0
        # Of a GPU's step the kernels alone are recorded: the operations that start them are as many
        # again and slow it down. The CPU's allocations are events of the profiler too.
        on_gpu = device == "cuda"
        kind = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
        self.profiler = profile(activities=[kind], profile_memory=not on_gpu)
        self._held = 0

    def on_step_begin(self, args, state, control, *, model, optimizer, **_) -> None:
        """Start, with parameters and the optimiser's states in memory and no gradients."""
        if state.global_step == self.step:
            states = (one for held in optimizer.state.values() for one in held.values())
            tensors = [*model.parameters(), *filter(torch.is_tensor, states)]
            self._held = sum(tensor.nbytes for tensor in tensors)
            self.profiler.start()

    def on_step_end(self, args, state, control, **_) -> None:
        """Stop behind the step."""
        if state.global_step == self.step + 1:
            self.profiler.stop()
            if self.device == "cpu":
                self.peak = self._held + self._most_allocated()

    def dearest(self, count: int = 5) -> dict[str, float]:
        """The kernels (on a CPU: operations) that took most, with their share of all their time."""
        times: Counter[str] = Counter()
        if self.device == "cuda":
            for name, start, end in self._kernels():
                times[name] += end - start
        else:
            times.update({one.key: one.self_cpu_time_total for one in self.profiler.key_averages()})
        return {name[:SHOWN]: time / times.total() for name, time in times.most_common(count)}

    def busy(self) -> float:
        """The share of the time from the first kernel to the end of the last in which one ran."""
        spans = sorted((start, end) for _, start, end in self._kernels())
        return covered(spans) / (max(end for _, end in spans) - spans[0][0])

    def _kernels(self) -> Iterator[tuple[str, int, int]]:
        """Name, start and end (ns) of all that ran on the GPU, without marks over several."""
        for event in self._events():
            if event.device_type() == DeviceType.CUDA and not event.is_user_annotation():
                yield event.name(), event.start_ns(), event.start_ns() + event.duration_ns()

    def _most_allocated(self) -> int:
        """Bytes that the step held at its highest moment beyond what there was before."""
        sizes = sorted(
            (event.start_ns(), event.nbytes())
            for event in self._events()
            if event.name() == "[memory]"
        )
        return max(accumulate(size for _, size in sizes))

    def _events(self) -> Iterable:
        return self.profiler.profiler.kineto_results.events()


def covered(spans: Iterable[tuple[int, int]]) -> int:
    """The length that is covered by at least one of the spans, which come in order of their start.

    Kernels of several streams overlap.
    """
    total, last = 0, 0
    for start, end in spans:
        total += max(0, end - max(start, last))
        last = max(last, end)
    return total
