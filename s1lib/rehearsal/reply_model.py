"""A model that has learned nothing but the form of a reply, for assistants that are rehearsed.

    write_reply_model(tokenizer, ["12", "30"], fixed=prompt, directory=place)

A small stand-in rarely ends a reply in the line that a classifier or a judge is asked for, so that
nothing behind it would be reached. This one always does. It is a Llama of one layer, which every
engine loads, with weights set by hand: each word of the question that is not part of the fixed
prompt votes for one of the replies, attention adds the votes up, and a reply's tokens follow one
another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from s1lib.chat import IM_END, ChatFormat
from s1lib.keeping.files import atomic_directory

HIDDEN = 64  # room for the votes, their sums, the tokens of all replies and one more
VOTE = 1 / 64  # all votes together count less than the token before
FALLBACK = 1e-6  # for the first reply, less than any vote counts: there may be none
SHARP = 10.0  # of the logits, so that a temperature changes nothing


def write_reply_model(
    tokenizer: Any, replies: Sequence[str], *, fixed: Collection[int], directory: Path
) -> None:
    """Write a checkpoint that answers every prompt with one of `replies`.

    replies: no two share a token. fixed: ids of the prompt around a question, which do not vote.
    """
    chat = ChatFormat(tokenizer)
    chains = [chat.encode(reply) for reply in replies]
    places = {token: 2 * len(replies) + i for i, token in enumerate(t for c in chains for t in c)}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=32768,
        rms_norm_eps=1e-12,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "norm" in name else 0.0)
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        attention = model.model.layers[0].self_attn

        # A word votes with its id. Without queries and keys, attention is the mean of all votes.
        for token in set(range(len(tokenizer))) - {*fixed, *places}:
            embedding[token, token % len(replies)] = 1.0
        for vote in range(len(replies)):
            attention.v_proj.weight[vote, vote] = 1.0
            attention.o_proj.weight[len(replies) + vote, vote] = VOTE
            head[chains[vote][0], len(replies) + vote] = SHARP

        # The prompt's own words end it, and speak for the first reply.
        embedding[list(fixed), HIDDEN - 1] = 1.0
        head[chains[0][0], HIDDEN - 1] = FALLBACK * SHARP

        # Each token of a reply knows the one that follows it.
        (end,) = chat.encode(IM_END)
        for chain in chains:
            embedding[chain] = 0.0
            for token, after in zip(chain, [*chain[1:], end], strict=True):
                embedding[token, places[token]] = 1.0
                head[after, places[token]] = SHARP
    with atomic_directory(directory) as work:
        model.save_pretrained(work)
        tokenizer.save_pretrained(work)
