"""trl's trainer with this package's batches, passes and precision (docs/training_speed.md).

What it learns is the recipe's: the same samples per optimiser step, the same mean over their
tokens, AdamW on float32 weights.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerState
from trl import SFTTrainer
from trl.trainer.utils import add_fused_lm_head

from s1lib.hardware.half_weights import HalfWeights
from s1lib.sft.dataset import LengthBatches


class Trainer(SFTTrainer):
    """trl's trainer with batches of similar length, where the paper draws them at random.

    `room` is for batches of a PassCollator: longer passes compute their activations twice, if the
    settings allow it, and shorter ones keep them. `halves` are bf16 copies to make the passes with.
    """

    first_epoch = 0

    def __init__(
        self, *args: Any, room: int = 0, halves: HalfWeights | None = None, **others: Any
    ) -> None:
        super().__init__(*args, **others)
        self.room, self.halves = room, halves
        # trl's own head also measures entropy and accuracy, over the whole vocabulary each.
        model = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        add_fused_lm_head(model, outputs=("log_probs",))

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Forward and backward of one batch, in passes if it comes in them; returns its loss."""
        with self.halves.in_place() if self.halves else contextlib.nullcontext():
            if "passes" not in inputs:
                return super().training_step(model, inputs, num_items_in_batch)
            losses = [self._pass(model, one, num_items_in_batch) for one in inputs["passes"]]
            return torch.stack(losses).sum()  # each is divided by the tokens of the whole batch

    def _pass(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Any
    ) -> torch.Tensor:
        if self.args.gradient_checkpointing:
            again = inputs["input_ids"].numel() > self.room
            for module in model.modules():
                if hasattr(module, "gradient_checkpointing"):
                    module.gradient_checkpointing = again
        return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        """Minus the mean log-probability of the batch's labels. Counts the batch's tokens too."""
        outputs = model(
            **inputs, use_cache=False, fused_lm_head=True, num_items_in_batch=num_items_in_batch
        )
        # The mean is over the tokens of all processes, which then average their gradients.
        processes = self.accelerator.num_processes

        # Padding counts as no token.
        tokens = inputs["input_ids"].numel()
        if "attention_mask" in inputs:
            tokens = self.accelerator.gather(inputs["attention_mask"].sum()).sum().item()
        self._total_train_tokens += tokens
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return outputs.loss * processes

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthBatches:
        args = self.args
        rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        lengths = list(self.train_dataset["length"])
        return LengthBatches(lengths, rows, seed=args.seed, epoch=self.first_epoch)

    def go_on_from(self, checkpoint: Path) -> None:
        """Bring back what transformers does not: earlier epochs' order, trl's count of tokens."""
        state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        counts = [row["num_tokens"] for row in state.log_history if "num_tokens" in row]
        self.first_epoch = int(state.epoch + 1e-6)
        self._total_train_tokens = int(counts[-1])

    def save(self, directory: Path) -> None:
        """Write the whole model as safetensors, adapters merged, with the help of all processes."""
        plugin = getattr(self.accelerator.state, "fsdp_plugin", None)
        if plugin is not None:
            # Checkpoints are sharded; a sharded "save" would write no model at all.
            plugin.set_state_dict_type("FULL_STATE_DICT")
        if hasattr(self.model, "merge_and_unload"):
            self.model.merge_and_unload().save_pretrained(directory)
            self.processing_class.save_pretrained(directory)
        else:
            self.save_model(str(directory))
