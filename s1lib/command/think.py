"""`s1 think`: one question to one model, its thinking as it comes, then the answer.

    s1 think "How many r in raspberry?" --model PATH_OR_ID --max-thinking 512 --waits 2

What budget forcing appended stands out: in colour in a terminal, in [[brackets]] elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any, TextIO

from s1lib.chat import WAIT, ChatFormat, format_of
from s1lib.chat.thinking_format import FORMATS
from s1lib.engines import EngineError, open_engine
from s1lib.profile import EngineSettings
from s1lib.thinking.budget import Budget, Trace, reserved_tokens
from s1lib.thinking.thinker import Thinker

# Tokens of context where no cap says how many are needed. TorchEngine keeps room for all of them.
LONGEST = 32_768
COLOUR, PLAIN = ("\x1b[30;43m", "\x1b[0m"), ("[[", "]]")


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `s1`."""
    about = "ask a model one question and watch its thinking being forced"
    parser = commands.add_parser("think", help=about)
    parser.set_defaults(command=run)
    add, tokens = parser.add_argument, {"type": int, "metavar": "TOKENS"}
    add("question")
    add("--model", required=True, help="a directory, or a hub id (owner/name@revision)")

    told = "how the model thinks (default: auto, as its chat template tells)"
    add("--format", choices=("auto", *FORMATS), default="auto", help=told)

    capped = "cap on the whole thinking (default: what the context leaves)"
    add("--max-thinking", **tokens, help=capped)
    add("--min-thinking", **tokens, default=0, help="thinking that ends earlier is extended")
    suppressed = "how often the end of thinking is suppressed"
    add("--waits", type=int, metavar="N", default=0, help=suppressed)
    add("--wait", metavar="STR", default=WAIT, help='what is appended then (default: "Wait")')
    kept = "kept free for the answer (default: 512)"
    add("--answer-tokens", **tokens, default=512, help=kept)

    add("--temperature", type=float, default=0.0, help="default: 0, greedy")
    add("--seed", type=int, default=0, help="of the samples, above temperature 0")
    servers = "decode there (vllm serve); several times for several replicas"
    add("--server", metavar="URL", action="append", help=servers)


def run(options: argparse.Namespace) -> None:
    """Run the command.

    Raises BudgetError, ChatFormatError or EngineError, each one line, before anything is decoded.
    """
    if options.temperature < 0:
        raise EngineError(f"--temperature is {options.temperature}; it must be at least 0")
    names = ("max_thinking", "min_thinking", "waits", "wait", "answer_tokens")
    budget = Budget(**{name: getattr(options, name) for name in names})
    trace = asyncio.run(_think_aloud(options, budget, Printer(sys.stdout)))
    print(flush=True)
    print(trace.counts(), file=sys.stderr)


async def _think_aloud(options: argparse.Namespace, budget: Budget, show: Printer) -> Trace:
    from s1lib.command.stream import StreamingEngine
    from s1lib.engines.checkpoint import open_checkpoint

    # Small files first: most of what can be wrong is in them.
    tokenizer = open_checkpoint(options.model).tokenizer
    chat = ChatFormat(tokenizer, format_of(tokenizer, options.format))
    prompt = chat.prompt_ids(options.question)
    context = LONGEST
    if budget.max_thinking is not None:
        longest_stop = max(map(len, chat.thinking_stops))
        context = reserved_tokens(chat, prompt, budget) + budget.max_thinking + longest_stop

    engine = open_engine(options.model, _settings(options.server, context))
    try:
        watched = StreamingEngine(engine, chat, prompt, show)
        thinker = Thinker(watched, chat, options.temperature, options.seed)
        trace = await thinker.force(prompt, budget)
        watched.finish(trace)
        return trace
    finally:
        await engine.aclose()


def _settings(servers: list[str] | None, context: int) -> EngineSettings:
    """An engine for one sequence: the servers, or the model on this machine."""
    if servers:
        return EngineSettings(kind="server", urls=tuple(servers), max_rows=1, max_context=context)
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = "bfloat16" if torch.cuda.is_available() else "float32"
    return EngineSettings(dtype=dtype, max_rows=1, max_context=context)


class Printer:
    """Writes text as it comes, and what was appended between marks."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._marks = COLOUR if out.isatty() and "NO_COLOR" not in os.environ else PLAIN

    def __call__(self, text: str, appended: bool) -> None:
        """Write `text`, but no control characters: a model must not steer the terminal."""
        text = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
        before, after = self._marks if appended else ("", "")
        lines = [f"{before}{line}{after}" if line else line for line in text.split("\n")]
        self._out.write("\n".join(lines))
        self._out.flush()
