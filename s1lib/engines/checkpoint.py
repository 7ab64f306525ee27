"""A checkpoint's tokenizer and configuration, read and checked before weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from s1lib.engines.protocol import EngineError, one_line
from s1lib.profile import is_hub_id, split_revision

TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")


@dataclass(frozen=True)
class Checkpoint:
    """A local directory, or a hub id that may pin a revision (`owner/name@revision`).

    path: as it was given. name: without the revision. config: of the text model.
    """

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
        """Ids at which other engines end a text by themselves.

        They are those of the tokenizer, the configuration and the generation configuration.
        """
        try:
            generation = GenerationConfig.from_pretrained(self.name, revision=self.revision)
        except OSError:  # it is optional
            generation = GenerationConfig()
        sources = (self.tokenizer, self.config, generation)
        found = [source.eos_token_id for source in sources if source.eos_token_id is not None]
        return {token for ids in found for token in (ids if isinstance(ids, list) else [ids])}


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Read the tokenizer and the configuration of a local directory or hub id.

    Raises EngineError when there is no such model, or one of the two is missing or damaged.
    """
    path = str(path)
    if not is_hub_id(path):
        directory = Path(path)
        if not directory.is_dir():
            raise EngineError(
                f"the model directory {path} does not exist: run the notebook that writes it first"
            )
        # transformers would make an empty tokenizer up.
        if not any((directory / name).exists() for name in TOKENIZERS):
            raise EngineError(
                f"{path} has no tokenizer: save one beside the model with tokenizer.save_pretrained"
            )

    name, revision = split_revision(path)
    try:
        # The configuration first: the tokenizer needs it, but does not say so when it is damaged.
        config = AutoConfig.from_pretrained(name, revision=revision).get_text_config()
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    except Exception as error:  # a damaged file can raise anything
        raise cannot_load(path, error) from error
    return Checkpoint(path, name, revision, tokenizer, config)


def cannot_load(path: str | Path, error: Exception) -> EngineError:
    """The error for a checkpoint of which a file cannot be read."""
    remedy = "write or download it again"
    if "memory" in str(error).lower():
        remedy = "take a larger GPU or a smaller model"
    elif is_hub_id(str(path)):
        remedy = "it is no directory here, so it was looked for on the hub"
    return EngineError(f"cannot load the model from {path} ({one_line(error)}): {remedy}")
