"""Qwen2.5's real tokenizer with its chat template.

It is built from the byte-pair ranks in ../shared/data, where they are present.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

import trl
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from s1lib.profile import ROOT

RANKS = ROOT.parent / "shared" / "data" / "qwen.tiktoken"
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]  # 151643, 151644, 151645
# Qwen2.5-Instruct's own template, as trl ships it.
TEMPLATE = (Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja").read_text()


@cache
def qwen_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, made once in a process: it takes some seconds."""
    ranks = {
        base64.b64decode(token): int(rank)
        for token, rank in (line.split() for line in RANKS.open())
    }
    letters = bytes_to_unicode()

    def text(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = []
    for token, rank in ranks.items():
        splits = [(token[:place], token[place:]) for place in range(1, len(token))]
        merges += [
            (rank, ranks[a], ranks[b], text(a), text(b))
            for a, b in splits
            if a in ranks and b in ranks
        ]
    vocabulary = {text(token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [(left, right) for *_, left, right in sorted(merges)])
    )
    pieces = [
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pieces)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = TEMPLATE
    return fast
