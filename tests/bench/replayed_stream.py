"""The documents that a base model of the toy has read, drawn once more without the model.

A document depends on the seed, on how far training has come, and on the skills that the gate found
missing. All three are known from the profile and from the model's training.json. The loss curve
there says after how many tokens each of its points was made, and the documents drawn here have to
come to the same numbers. So a stream that is not the one of the training is noticed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedTokenizerBase

from s1lib.errors import S1Error
from s1lib.profile import BaseModel
from s1lib.toy import corpus
from s1lib.toy.batching import Batch, batches
from s1lib.toy.gate import missing_skills
from s1lib.toy.pretrain import ACCUMULATED, LOGGED_STEPS


class ReplayError(S1Error):
    """The stream drawn now is not the one of the training."""


class Replay:
    """The training of a base model as far as its documents go.

    settings, seed, context: what the model was trained with. record: its training.json.
    documents: the texts of all that the model has read, in this order. `run` fills it.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        settings: BaseModel,
        record: dict[str, Any],
        *,
        seed: int,
        context: int,
    ) -> None:
        self.tokenizer, self.settings, self.record = tokenizer, settings, record
        self.seed, self.context = seed, context
        self.documents: list[str] = []
        self.seen = self.steps = 0  # tokens and optimiser steps so far

    def run(self) -> list[str]:
        """Draw all documents in the order of `pretrain`, from gate to gate.

        Raises ReplayError where the tokens differ from those of the record.
        """
        settings, begin, goal, missing = self.settings, 0, self.settings.tokens, []
        while True:
            self._draw_to(goal, begin, missing)
            over = goal + settings.extra_tokens > settings.max_tokens
            if not settings.gated or over or not (missing := self._missing()):
                break
            begin, goal = goal, goal + settings.extra_tokens

        points, curve = self.steps // LOGGED_STEPS, self.record["curve"]
        if points < len(curve):
            raise ReplayError(
                f"it went on to {curve[-1]['tokens']} tokens, and the code at hand stops at "
                f"{self.seen}: the profile has changed since"
            )
        return self.documents

    def _draw_to(self, goal: int, begin: int, missing: list[str]) -> None:
        streams = []
        for place in range(ACCUMULATED):
            rng = random.Random(f"{self.seed}-{place}{f'-{begin}' if begin else ''}")
            streams.append(self._stream(rng, missing))
        while self.seen < goal:
            read = [next(stream) for stream in streams]
            for batch in read:
                self.documents += self.tokenizer.batch_decode(batch.ids, skip_special_tokens=True)
            self.seen += sum(batch.tokens for batch in read)
            self.steps += 1
            if self.steps % LOGGED_STEPS == 0:
                self._compare()

    def _stream(self, rng: random.Random, missing: list[str]) -> Iterator[Batch]:
        drawn = corpus.documents(rng, self._progress, missing=missing)
        return batches(self.tokenizer, drawn, rng, max_length=self.context)

    def _progress(self) -> float:
        return self.seen / self.settings.tokens

    def _compare(self) -> None:
        """Raises ReplayError unless the curve has this point, after just as many tokens."""
        point = self.steps // LOGGED_STEPS - 1
        curve = self.record["curve"]
        recorded = curve[point]["tokens"] if point < len(curve) else None
        if recorded != self.seen:
            raise ReplayError(
                f"after {self.steps} steps it had read {recorded} tokens, and the code at hand "
                f"draws {self.seen}: the corpus or the profile has changed since"
            )

    def _missing(self) -> list[str]:
        """The skills that the gate found missing just here; a skill's last measurement counts."""
        rows = [row for row in self.record["gate"] if row["tokens"] == self.seen]
        return missing_skills({row["skill"]: row["share"] for row in rows})
