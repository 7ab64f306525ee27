"""One step of a training, recorded: what it is made of, and what memory it takes."""

from __future__ import annotations

import torch
from transformers import TrainerCallback

from s1lib.gpu_check.recording import Recording


class StepProfile(TrainerCallback):
    """Records one step of transformers' trainer.

    device: "cpu" or "cuda". step: its number, from 0.
    peak: bytes that were held at the highest moment, on a CPU alone. A GPU's allocator knows them.
    """

    def __init__(self, device: str, step: int) -> None:
        self.recording, self.step, self.peak = Recording(device), step, 0
        self._held = 0

    def on_step_begin(self, args, state, control, *, model, optimizer, **_) -> None:
        """Start, with parameters and the optimiser's states in memory and no gradients."""
        if state.global_step == self.step:
            states = (one for held in optimizer.state.values() for one in held.values())
            tensors = [*model.parameters(), *filter(torch.is_tensor, states)]
            self._held = sum(tensor.nbytes for tensor in tensors)
            self.recording.start()

    def on_step_end(self, args, state, control, **_) -> None:
        """Stop behind the step."""
        if state.global_step == self.step + 1:
            self.recording.stop()
            if self.recording.device == "cpu":
                self.peak = self._held + self.recording.most_allocated()
