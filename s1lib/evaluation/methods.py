"""The methods of an evaluation: each decodes one problem and returns the fields of its records.

    method = Forcing(grid([16, 32], waits=[1, 2]), unlimited=60)
    rows = await method(Thinker(engine, chat), problem, seed=0)

A method is a frozen dataclass, because its fields are in the keys of its shards (`run.shard_key`).
Calling it is the async function of one problem.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from s1lib.chat.length_control import CLASSES
from s1lib.evaluation.benchmarks import Problem
from s1lib.evaluation.long_prompts import is_unanswered, unanswered
from s1lib.evaluation.record_fields import record_fields
from s1lib.keeping.hashes import derive_seed
from s1lib.thinking.budget import Budget, PromptTooLong, Trace
from s1lib.thinking.conditional import (
    StepChat,
    class_conditional,
    step_conditional,
    token_conditional,
)
from s1lib.thinking.rejection import first_within
from s1lib.thinking.sweep import sweep
from s1lib.thinking.thinker import Thinker
from s1lib.thinking.tree_search import Tree, rebase
from s1lib.thinking.voting import sample_traces

if TYPE_CHECKING:
    from s1lib.thinking.reward_model import RewardModel


class Method(Protocol):
    """One way to answer a problem.

    name: of its shards.
    problems: how many of each benchmark it is asked, from the first on. None is all of them.

    It is called with a greedy thinker, and where it samples it draws from `seed`. A prompt that is
    too long for the context has records like any other, see `long_prompts`.
    """

    name: str
    problems: int | None

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]: ...


@dataclass(frozen=True)
class Direct:
    """Answers without thinking, as the difficulty filter asks (the base model's row in Table 1).

    request: a sentence behind the question, such as "Check your work.".
    """

    max_tokens: int
    request: str = ""
    name: str = "direct"
    problems: int | None = None

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]:
        chat, parameters = thinker.chat, {"request": self.request} if self.request else {}
        question = "\n".join(filter(None, [problem.question, self.request]))
        prompt = chat.prompt_ids(question, think=False)
        if len(prompt) >= thinker.engine.max_context:
            return [record_fields(chat, unanswered(prompt), "direct", parameters)]

        stop, limit = chat.answer_stops, self.max_tokens
        part = await thinker.complete(prompt, ("direct",), max_tokens=limit, stop=stop)
        finish = "natural" if part.finish == "stop" else "forced"
        trace = Trace(prompt, [], [], [], finish, part.ids, decoded_tokens=part.decoded_tokens)
        fields = record_fields(chat, trace, "direct", parameters)
        return [{**fields, "thinking": "", "answer": chat.decode(part.ids)}]


@dataclass(frozen=True)
class Forcing:
    """Budget forcing at several points in one greedy pass (figures 1 and 4a, tables 1, 2 and 4).

    unlimited: the cap that stands for "no limit" and is recorded as null.
    """

    points: tuple[Budget, ...]
    unlimited: int
    name: str = "forcing"
    problems: int | None = None

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]:
        traces = await sweep(thinker, problem.question, self.points)
        return [
            record_fields(thinker.chat, trace, "budget_forcing", self._parameters(point))
            for point, trace in traces.items()
        ]

    def _parameters(self, point: Budget) -> dict:
        limit = None if point.max_thinking == self.unlimited else point.max_thinking
        return {"max_thinking": limit, "waits": point.waits, "wait": point.wait}


@dataclass(frozen=True)
class Sampling:
    """Whole traces at a temperature, for majority votes and for rejection sampling.

    votes: how many traces for the votes (figures 4b and 7).
    caps, tries: of rejection sampling (figure 6).

    Both draw from the same samples, as the paper's two readings of one set would. A rejection
    record's decoded_tokens and spent_thinking_tokens are those that rejection sampling alone takes.
    """

    budget: Budget
    temperature: float
    votes: int = 0
    caps: tuple[int, ...] = ()
    tries: int = 0
    problems: int | None = None
    name: str = "sampling"

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]:
        own = derive_seed(seed, problem.id)
        sampler = replace(thinker, temperature=self.temperature, seed=own)
        count = max(self.votes, self.tries if self.caps else 0)
        traces = await sample_traces(sampler, problem.question, count, self.budget)

        parameters = {"temperature": self.temperature}
        rows = [
            record_fields(thinker.chat, trace, "majority", parameters, sample=index)
            for index, trace in enumerate(traces[: self.votes])
        ]

        # A rejected problem has a record without a trace.
        silent = Trace(traces[0].prompt_ids, [], [], [], "natural")
        for cap, outcome in first_within(self.caps, traces[: self.tries]).items():
            parameters = {"cap": cap, "tries": self.tries, "temperature": self.temperature}
            row = record_fields(thinker.chat, outcome.trace or silent, "rejection", parameters)
            row["decoded_tokens"] = outcome.decoded_tokens
            row["spent_thinking_tokens"] = outcome.thinking_tokens
            if outcome.rejected:
                row["finish"] = "context" if is_unanswered(traces[0]) else "rejected"
            rows.append(row)
        return rows


@dataclass(frozen=True)
class TokenConditional:
    """Prompts that say "Think for up to N tokens.", alone and with budget forcing (table 12)."""

    limits: tuple[int, ...]
    budget: Budget
    name: str = "token_conditional"
    problems: int | None = None

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]:
        rows, names = [], (self.name, f"{self.name}_forced")
        for limit in self.limits:
            traces = await token_conditional(thinker, problem.question, limit, self.budget)
            for name, trace in zip(names, traces, strict=True):
                rows.append(record_fields(thinker.chat, trace, name, {"max_thinking": limit}))
        return rows


@dataclass(frozen=True)
class StepConditional:
    """Prompts that say "Think for up to N steps.", alone and with the limit forced (table 13).

    The countdown is not counted as thinking.
    """

    limits: tuple[int, ...]
    budget: Budget
    name: str = "step_conditional"
    problems: int | None = None

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]:
        counting = StepChat(thinker.chat.tokenizer)
        rows, names = [], (self.name, f"{self.name}_forced")
        for limit in self.limits:
            traces = await step_conditional(thinker, problem.question, limit, self.budget)
            for name, trace in zip(names, traces, strict=True):
                row = record_fields(thinker.chat, trace, name, {"steps": limit})
                row["steps_used"] = counting.steps(trace.thinking_ids)
                row["thinking_tokens"] -= counting.delimiter_tokens(trace.thinking_ids)
                rows.append(row)
        return rows


@dataclass(frozen=True)
class ClassConditional:
    """Asked to think for a short or a long time, or without such a sentence (table 14)."""

    budget: Budget
    name: str = "class_conditional"
    problems: int | None = None

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]:
        rows = []
        for length in CLASSES:
            trace = await class_conditional(thinker, problem.question, length, self.budget)
            rows.append(record_fields(thinker.chat, trace, self.name, {"length": length}))
        return rows


@dataclass(frozen=True)
class TreeSearch:
    """REBASE at each width (figure 7), with one record per search.

    reward: where the process reward model lies. weights: its hash, which names the search.
    A record's text is that of the best trace, its tokens are those of the whole tree.
    """

    widths: tuple[int, ...]
    budget: Budget
    temperature: float
    reward: str = field(compare=False)
    weights: str
    separator: str
    problems: int | None = None
    name: str = "tree_search"

    async def __call__(self, thinker: Thinker, problem: Problem, *, seed: int) -> list[dict]:
        rows, reward = [], reward_model(self.reward)
        for width in self.widths:
            own = derive_seed(seed, problem.id, width)
            searcher = replace(thinker, temperature=self.temperature, seed=own)
            options = {"reward": reward, "separator": self.separator, "kind": problem.kind}
            try:
                tree = await rebase(searcher, problem.question, width, self.budget, **options)
            except PromptTooLong as error:
                tree = Tree([], unanswered(error.prompt_ids), 0, 0, 0)
            parameters = {"width": width, "temperature": self.temperature}
            row = record_fields(thinker.chat, tree.best, self.name, parameters)
            row["thinking_tokens"] = tree.thinking_tokens
            row["answer_tokens"] = tree.answer_tokens
            rows.append(row)
        return rows


@lru_cache(maxsize=1)
def reward_model(reference: str) -> RewardModel:
    """The reward model of a tree search, opened once and kept."""
    # Here because it imports torch, which only decoding needs.
    from s1lib.thinking.reward_model import RewardModel

    return RewardModel.from_pretrained(reference)
