"""A checkpoint's tokenizer and configuration: small files, read and checked before the weights are loaded anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from s1lib.engines.protocol import EngineError
from s1lib.engines.stops import one_line
from s1lib.profile import is_hub_id, split_revision

TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")


@dataclass(frozen=True)
class Checkpoint:
    """A local directory, or a hub id that may pin a revision (`owner/name@revision`); config: the text model's."""

    path: str
    name: str
    revision: str | None
    tokenizer: Any
    config: Any

    @property
    def window(self) -> int | None:
        """Tokens that the model can attend to."""
        return getattr(self.config, "max_position_embeddings", None)

    def end_ids(self) -> set[int]:
        """Ids at which other people's code ends a text by itself: the tokenizer's, the configuration's, the generation configuration's."""
        try:
            generation = GenerationConfig.from_pretrained(self.name, revision=self.revision)
        except OSError:  # it is optional
            generation = GenerationConfig()
        found = (self.tokenizer.eos_token_id, self.config.eos_token_id, generation.eos_token_id)
        return {token for ids in found if ids is not None for token in (ids if isinstance(ids, list) else [ids])}


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Raises EngineError when there is no such model, or its tokenizer or configuration is missing or damaged."""
    path = str(path)
    if not is_hub_id(path):
        if not Path(path).is_dir():
            raise EngineError(f"the model directory {path} does not exist: run the notebook that writes it first")
        if not any((Path(path) / name).exists() for name in TOKENIZERS):  # transformers would make an empty one up
            raise EngineError(f"{path} has no tokenizer: save one beside the model with tokenizer.save_pretrained")
    name, revision = split_revision(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        config = AutoConfig.from_pretrained(name, revision=revision).get_text_config()
    except Exception as error:  # a damaged file can raise anything
        raise cannot_load(path, error) from error
    return Checkpoint(path, name, revision, tokenizer, config)


def cannot_load(path: str | Path, error: Exception) -> EngineError:
    return EngineError(f"cannot load the model from {path}: {one_line(error)}")
