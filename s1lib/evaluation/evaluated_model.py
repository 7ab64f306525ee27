"""A model under evaluation: where it lies, what decodes it, which of several trainings it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from s1lib.chat import ChatFormat, format_of
from s1lib.engines import Engine, open_engine
from s1lib.keeping.hashes import hash_of_model
from s1lib.profile import EngineSettings, Profile, Replica, path_of, replicas_of


@dataclass
class EvaluatedModel:
    """A model under evaluation: its name in the records, its checkpoint, what decodes it.

    The engine is opened only when something must be decoded.
    thinking_format: as in `Evaluation`.
    """

    name: str
    path: str | Path
    settings: EngineSettings
    thinking_format: str = "auto"
    replica: Replica = field(default_factory=Replica)  # which of the model's trainings it is

    @property
    def label(self) -> str:
        """What shards and the log call it."""
        return self.name + self.replica.suffix

    @cached_property
    def weights(self) -> str:
        return hash_of_model(str(self.path))

    @cached_property
    def engine(self) -> Engine:
        return open_engine(self.path, self.settings)

    @cached_property
    def chat(self) -> ChatFormat:
        from s1lib.engines.checkpoint import open_checkpoint  # transformers takes seconds to import

        tokenizer = open_checkpoint(self.path).tokenizer
        return ChatFormat(tokenizer, format_of(tokenizer, self.thinking_format))

    @cached_property
    def places(self) -> asyncio.Semaphore:
        """How many problems are under way at a time."""
        return asyncio.Semaphore(self.settings.max_rows * self.settings.replicas)

    async def aclose(self) -> None:
        if "engine" in self.__dict__:
            await self.engine.aclose()


def evaluated_models(profile: Profile) -> list[EvaluatedModel]:
    """Every training of every model that notebook 04 decodes."""
    engine, how = profile.engine, profile.thinking_format
    return [
        EvaluatedModel(name, path_of(profile, name, replica), engine, how(name), replica)
        for name in profile.model_paths
        for replica in replicas_of(profile, name)
    ]
