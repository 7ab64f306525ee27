"""The command `s1 think`: one question to any model with the s1 format, its thinking as it comes, then the answer.

    s1 think "How many r in raspberry?" --model PATH_OR_ID --max-thinking 512 --waits 2

What budget forcing appended stands out: in colour in a terminal, in [[brackets]] elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any, TextIO

from s1lib.chat import WAIT, ChatFormat
from s1lib.engines import EngineError, open_engine
from s1lib.profile import EngineSettings
from s1lib.thinking.budget import Budget, Trace, reserved_tokens
from s1lib.thinking.thinker import Thinker

LONGEST = 32_768  # tokens of context when no cap says how many are needed: TorchEngine keeps room for all of them
COLOUR, PLAIN = ("\x1b[30;43m", "\x1b[0m"), ("[[", "]]")


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `s1`."""
    parser = commands.add_parser("think", help="ask a model one question and watch its thinking being forced")
    parser.add_argument("question")
    parser.add_argument("--model", required=True, help="a directory, or a hub id (owner/name@revision)")
    parser.add_argument("--max-thinking", type=int, metavar="TOKENS", help="cap on the whole thinking (default: what the context leaves)")
    parser.add_argument("--min-thinking", type=int, metavar="TOKENS", default=0, help="thinking that ends earlier is extended")
    parser.add_argument("--waits", type=int, metavar="N", default=0, help="how often the end of thinking is suppressed")
    parser.add_argument("--wait", metavar="STR", default=WAIT, help='what is appended then (default: "Wait")')
    parser.add_argument("--answer-tokens", type=int, metavar="TOKENS", default=512, help="kept free for the answer (default: 512)")
    parser.add_argument("--temperature", type=float, default=0.0, help="default: 0, greedy")
    parser.add_argument("--seed", type=int, default=0, help="of the samples, above temperature 0")
    parser.add_argument("--server", metavar="URL", action="append", help="decode there (vllm serve); several times for several replicas")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    """Raises BudgetError, ChatFormatError or EngineError, each one line, before anything is decoded."""
    if options.temperature < 0:
        raise EngineError(f"--temperature is {options.temperature}; it must be at least 0")
    names = ("max_thinking", "min_thinking", "waits", "wait", "answer_tokens")
    budget = Budget(**{name: getattr(options, name) for name in names})
    trace = asyncio.run(_think_aloud(options, budget, Printer(sys.stdout)))
    print(flush=True)
    tokens = f"{trace.thinking_tokens} thinking tokens, {trace.forced_tokens} of them appended"
    print(f"{tokens}; Waits: {trace.waits_used}; end: {trace.finish}", file=sys.stderr)


async def _think_aloud(options: argparse.Namespace, budget: Budget, show: Printer) -> Trace:
    from s1lib.command.stream import StreamingEngine
    from s1lib.engines.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(options.model)  # small files first: most of what can be wrong is in them
    chat = ChatFormat(checkpoint.tokenizer)
    prompt = chat.prompt_ids(options.question)
    around = reserved_tokens(chat, prompt, budget)
    context = LONGEST if budget.max_thinking is None else around + budget.max_thinking + max(map(len, chat.thinking_stops))
    engine = open_engine(options.model, _settings(options.server, context))
    try:
        watched = StreamingEngine(engine, chat, prompt, show)
        trace = await Thinker(watched, chat, options.temperature, options.seed).force(prompt, budget)
        watched.finish(trace)
        return trace
    finally:
        await engine.aclose()


def _settings(servers: list[str] | None, context: int) -> EngineSettings:
    if servers:
        return EngineSettings(kind="server", urls=tuple(servers), max_rows=1, max_context=context)
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    return EngineSettings(dtype="bfloat16" if torch.cuda.is_available() else "float32", max_rows=1, max_context=context)


class Printer:
    """Writes text as it comes, what was appended between marks; nothing a model writes can steer the terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._marks = COLOUR if out.isatty() and "NO_COLOR" not in os.environ else PLAIN

    def __call__(self, text: str, appended: bool) -> None:
        text = "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)
        before, after = self._marks
        lines = [f"{before}{line}{after}" if appended and line else line for line in text.split("\n")]
        self._out.write("\n".join(lines))
        self._out.flush()
