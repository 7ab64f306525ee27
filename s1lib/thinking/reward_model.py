"""A process reward model (for tree search, figure 7): how likely is a solution's last step right?

    reward = RewardModel.from_pretrained("RLHFlow/Llama3.1-8B-PRM-Deepseek-Data")
    await reward.scores(question, [["Step 1 ...", "Step 2 ..."], ["Another first step ..."]])
    # [0.93, 0.41]

Any causal LM that answers "+" or "-" to every step of a chat works. Steps are the user's turns,
the question stands in front of the first one, and the score is p("+") / (p("+") + p("-")) after
the last.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from s1lib.chat.template import render
from s1lib.engines.protocol import EngineError, one_line
from s1lib.hardware.attention_kernels import without_plans
from s1lib.profile import split_revision

RIGHT, WRONG = "+", "-"


class RewardModel:
    """Scores in [0, 1]. The paths of one call are one batch, and calls take turns."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        self.verdicts = [
            tokenizer.encode(text, add_special_tokens=False)[-1] for text in (RIGHT, WRONG)
        ]
        if self.verdicts[0] == self.verdicts[1] or not tokenizer.chat_template:
            raise EngineError(
                f"{model.name_or_path} is no process reward model: "
                'it needs a chat template and tokens for "+" and "-"'
            )
        self.turn = threading.Lock()

    @classmethod
    def from_pretrained(cls, reference: str | Path, *, device: str | None = None) -> RewardModel:
        """A checkpoint directory or a hub id with its revision, in bfloat16 on a GPU.

        Raises EngineError when it cannot be loaded.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        name, revision = split_revision(str(reference))
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
            device = device or ("cuda" if torch.cuda.is_available() else "cpu")
            dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
            model = AutoModelForCausalLM.from_pretrained(name, revision=revision, dtype=dtype)
            model = model.to(device)
            without_plans()
        except (OSError, ValueError, torch.OutOfMemoryError) as error:
            on_gpu = device and device.startswith("cuda")
            hint = "; if memory is short, lower engine.gpu_memory" if on_gpu else ""
            raise EngineError(
                f"cannot load the reward model {reference} ({one_line(error)}){hint}"
            ) from None
        return cls(model, tokenizer)

    async def scores(self, question: str, paths: Sequence[Sequence[str]]) -> list[float]:
        """One score for each path, which is that of its last step.

        paths: the steps of each as texts, at least one.
        """
        if not paths:
            return []
        return await asyncio.to_thread(self._scores, question, paths)

    @torch.inference_mode()
    def _scores(self, question: str, paths: Sequence[Sequence[str]]) -> list[float]:
        with self.turn:
            texts = [self.text(question, steps) for steps in paths]
            rows = [self.tokenizer.encode(text, add_special_tokens=False) for text in texts]
            return self._batch(rows)

    def _batch(self, rows: list[list[int]]) -> list[float]:
        # Padded behind, where no real token looks.
        length, device = max(map(len, rows)), self.model.device
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=device)
        real = (torch.arange(length) < torch.tensor([[len(row)] for row in rows])).to(ids)

        hidden = self.model.model(ids, attention_mask=real).last_hidden_state
        last = hidden[torch.arange(len(rows)), [len(row) - 1 for row in rows]]
        logits = self.model.lm_head(last)[:, self.verdicts].float()
        return logits.softmax(-1)[:, 0].tolist()

    def text(self, question: str, steps: Sequence[str]) -> str:
        """The chat up to where the verdict on the last step stands.

        Earlier steps count as right, as in such a model's own search.
        """
        messages = []
        for step in steps:
            messages.append({"role": "user", "content": step})
            messages.append({"role": "assistant", "content": RIGHT})
        # A space joins them, as in the data that the published reward models were trained on. A
        # template of another kind, the toy's, finds both parts beside it.
        parts = {"content": f"{question} {steps[0]}", "question": question, "step": steps[0]}
        messages[0] |= parts
        return render(self.tokenizer, messages[:-1], prompt=True)
