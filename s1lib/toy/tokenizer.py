"""The toy's tokenizer: Qwen's special tokens, one token per digit and per word.

Tokens carry their own spaces. Encoding takes the longest word that fits, decoding joins the tokens,
and so every text comes back exactly.
"""

from __future__ import annotations

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from s1lib.chat import length_control
from s1lib.toy import problems, teacher

END_OF_TEXT, IM_START, IM_END = SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
UNKNOWN = "�"
CHAT_WORDS = ("user", "assistant", "system", "think", "answer", "Final ", "Answer:", "Exercises")
CHECK = "Check your work."  # what makes a base model go over its work, see corpus.py
CHARACTERS = "0123456789+-*=b,:\n ?.ABCD"

# Qwen2.5's template without its system prompt and tools.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def vocabulary() -> list[str]:
    """All tokens in the order of their ids, special ones first: these stay when a word is added."""
    words = {*CHAT_WORDS, CHECK, *problems.words(), *teacher.words(), *length_control.words()}
    return [*SPECIAL, UNKNOWN, *CHARACTERS, *sorted(words - set(CHARACTERS))]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A fast tokenizer that saves and loads like any other. An unknown character is one token."""
    tokens = vocabulary()
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))

    # An alternation takes the first branch that matches, so the longest word comes first.
    ordinary = sorted((token for token in tokens if token not in SPECIAL), key=len, reverse=True)
    branches = [re.escape(token).replace("\\\n", "\\n") for token in ordinary]
    pattern = Regex("|".join([*branches, "."]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern, behavior="isolated")
    tokenizer.decoder = decoders.Fuse()

    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        pad_token=END_OF_TEXT,
        eos_token=IM_END,
        additional_special_tokens=[IM_START],
    )
    fast.chat_template = CHAT_TEMPLATE
    # Beside a Qwen2 model AutoTokenizer takes any tokenizer for Qwen's own byte-pair one
    # (transformers 5.19), unless there is an auto_map.
    fast._auto_map = {"AutoTokenizer": [None, None]}
    return fast
