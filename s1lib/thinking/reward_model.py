"""A process reward model: how likely the last step of a partial solution is right (for tree search; paper, figure 7).

    reward = RewardModel.from_pretrained("RLHFlow/Llama3.1-8B-PRM-Deepseek-Data")
    await reward.scores(question, [["Step 1 ...", "Step 2 ..."], ["Another first step ..."]])      # [0.93, 0.41]

Any causal LM that answers "+" or "-" to every step of a chat works: steps are the user's turns, the question stands in
front of the first one, and the score is p("+") / (p("+") + p("-")) after the last.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from s1lib.engines.protocol import EngineError, one_line
from s1lib.profile import split_revision

RIGHT, WRONG = "+", "-"


class RewardModel:
    """Scores in [0, 1]; rows of one call are one batch, calls take turns."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        verdicts = [tokenizer.encode(text, add_special_tokens=False)[-1] for text in (RIGHT, WRONG)]
        if verdicts[0] == verdicts[1] or not tokenizer.chat_template:
            raise EngineError(f'{model.name_or_path} is no process reward model: it needs a chat template and tokens for "+" and "-"')
        self.verdicts = verdicts
        self.turn = threading.Lock()

    @classmethod
    def from_pretrained(cls, reference: str | Path, *, device: str | None = None) -> RewardModel:
        """A checkpoint directory or a hub id with its revision, in bfloat16 on a GPU. Raises EngineError when it cannot be loaded."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        name, revision = split_revision(str(reference))
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
            device = device or ("cuda" if torch.cuda.is_available() else "cpu")
            dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
            model = AutoModelForCausalLM.from_pretrained(name, revision=revision, dtype=dtype).to(device)
        except (OSError, ValueError, torch.OutOfMemoryError) as error:
            hint = "; if memory is short, lower engine.gpu_memory" if device and device.startswith("cuda") else ""
            raise EngineError(f"cannot load the reward model {reference} ({one_line(error)}){hint}") from None
        return cls(model, tokenizer)

    async def scores(self, question: str, paths: Sequence[Sequence[str]]) -> list[float]:
        """One score for each path (its steps as texts, at least one), of its last step."""
        if not paths:
            return []
        return await asyncio.to_thread(self._scores, question, paths)

    @torch.inference_mode()
    def _scores(self, question: str, paths: Sequence[Sequence[str]]) -> list[float]:
        with self.turn:
            return self._batch([self.tokenizer.encode(self.text(question, steps), add_special_tokens=False) for steps in paths])

    def _batch(self, rows: list[list[int]]) -> list[float]:
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=self.model.device)  # padded behind: nothing sees it
        real = (torch.arange(length) < torch.tensor([[len(row)] for row in rows])).to(ids)
        hidden = self.model.model(ids, attention_mask=real).last_hidden_state
        last = hidden[torch.arange(len(rows)), [len(row) - 1 for row in rows]]
        logits = self.model.lm_head(last)[:, self.verdicts].float()
        return logits.softmax(-1)[:, 0].tolist()

    def text(self, question: str, steps: Sequence[str]) -> str:
        """The chat up to where the verdict on the last step stands; earlier steps count as right, as in such a model's own search."""
        messages = []
        for step in steps:
            messages += [{"role": "user", "content": step}, {"role": "assistant", "content": RIGHT}]
        messages[0]["content"] = f"{question}\n{steps[0]}"
        return self.tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
