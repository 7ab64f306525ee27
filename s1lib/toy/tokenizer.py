"""The toy's tokenizer: Qwen's special tokens, one token per digit and per word; tokens carry their own spaces.

Encoding is greedy over the vocabulary, longest word first, and decoding is plain concatenation: the round trip is exact.
"""

from __future__ import annotations

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from s1lib.chat import length_control as conditions
from s1lib.toy import problems, teacher

END_OF_TEXT, IM_START, IM_END = SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
UNKNOWN = "�"
CHAT_WORDS = ("user", "assistant", "system", "think", "answer", "Final ", "Answer:", "Exercises")
CHARACTERS = "0123456789+-*=b,:\n ?.ABCD"

# Qwen2.5's template without its system prompt and tools.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def vocabulary() -> list[str]:
    """All tokens in id order; special tokens first, as their ids must not move when a word is added."""
    words = {*CHAT_WORDS, *problems.words(), *teacher.words(), *conditions.words()}
    return [*SPECIAL, UNKNOWN, *CHARACTERS, *sorted(words - set(CHARACTERS))]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A fast tokenizer that saves and loads like any other; unknown characters become one unknown token each."""
    tokens = vocabulary()
    tokenizer = Tokenizer(
        models.WordLevel({token: index for index, token in enumerate(tokens)}, unk_token=UNKNOWN)
    )
    longest_first = sorted(
        (token for token in tokens if token not in SPECIAL), key=len, reverse=True
    )
    pattern = "|".join(re.escape(token).replace("\\\n", "\\n") for token in longest_first) + "|."
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        pad_token=END_OF_TEXT,
        eos_token=IM_END,
        additional_special_tokens=[IM_START],
    )
    fast.chat_template = CHAT_TEMPLATE
    # Beside a Qwen2 model AutoTokenizer takes any tokenizer for Qwen's own byte-pair one (transformers 5.19), unless there is an auto_map.
    fast._auto_map = {"AutoTokenizer": [None, None]}
    return fast
