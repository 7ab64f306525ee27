"""What a device does for a while, by torch's profiler: kernels, pauses, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

SHOWN = 60  # characters of a kernel's name


class Recording:
    """Kernels between `start` and `stop`. device: "cuda", or "cpu" with operations for kernels."""

    def __init__(self, device: str) -> None:
        self.device = device
        # Of a GPU the kernels alone are recorded: the operations that start them are as many again
        # and slow it down. The CPU's allocations are events of the profiler too.
        on_gpu = device == "cuda"
        kind = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
        self._profiler = profile(activities=[kind], profile_memory=not on_gpu, acc_events=True)
        self.start, self.stop = self._profiler.start, self._profiler.stop

    def figures(self, *, steps: int) -> dict[str, int | str]:
        """What a step is made of, for the report, where `steps` of them were recorded."""
        values: dict[str, int | str] = {}
        if self.device == "cuda":
            spans = [end - start for _, start, end in self._kernels()]
            milliseconds = f"{sum(spans) / steps / 1e6:.1f}"
            values = {"GPU busy": f"{self.busy():.0%}", "kernels a step": len(spans) // steps}
            values["their milliseconds"] = milliseconds
        return values | {name: f"{share:.0%}" for name, share in self.dearest().items()}

    def dearest(self, count: int = 8) -> dict[str, float]:
        """The kernels that took most, with their share of the time of all."""
        times: Counter[str] = Counter()
        if self.device == "cuda":
            for name, start, end in self._kernels():
                times[name] += end - start
        else:
            average = self._profiler.key_averages()
            times.update({one.key: one.self_cpu_time_total for one in average})
        return {name[:SHOWN]: time / times.total() for name, time in times.most_common(count)}

    def busy(self) -> float:
        """The share of the time from the first kernel to the end of the last in which one ran."""
        spans = sorted((start, end) for _, start, end in self._kernels())
        return covered(spans) / (max(end for _, end in spans) - spans[0][0])

    def most_allocated(self) -> int:
        """Bytes of the CPU's memory held at the highest moment beyond what there was before."""
        sizes = sorted(
            (event.start_ns(), event.nbytes())
            for event in self._events()
            if event.name() == "[memory]"
        )
        return max(accumulate(size for _, size in sizes))

    def _kernels(self) -> Iterator[tuple[str, int, int]]:
        """Name, start and end (ns) of all that ran on the GPU, without marks over several."""
        for event in self._events():
            if event.device_type() == DeviceType.CUDA and not event.is_user_annotation():
                yield event.name(), event.start_ns(), event.start_ns() + event.duration_ns()

    def _events(self) -> Iterable:
        return self._profiler.profiler.kineto_results.events()


def covered(spans: Iterable[tuple[int, int]]) -> int:
    """The length that is covered by at least one of the spans, which come in order of their start.

    Kernels of several streams overlap.
    """
    total, last = 0, 0
    for start, end in spans:
        total += max(0, end - max(start, last))
        last = max(last, end)
    return total
