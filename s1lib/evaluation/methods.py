"""What is done with one problem: each method decodes it and returns the beginnings of its evaluation records.

    methods = plan(profile, "s1")            # Forcing(...), Sampling(...)
    rows = await methods[0](engine, chat, problem, seed=0)

A method is a frozen dataclass, so that its fields name its shards; calling it is the async function of one problem.
`run` adds what all records share, and the grade.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from s1lib.chat import ChatFormat
from s1lib.engines.protocol import Engine
from s1lib.evaluation.benchmarks import Problem
from s1lib.profile import Profile
from s1lib.thinking.budget import Budget, Trace, derive_seed
from s1lib.thinking.rejection import first_within
from s1lib.thinking.sweep import grid, sweep
from s1lib.thinking.voting import sample_traces


class Method(Protocol):
    """name: of its shards. problems: so many of each benchmark, the first ones; None = all.

    The rows hold method, parameters, sample and everything about the decoding.
    """

    name: str
    problems: int | None

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]: ...


@dataclass(frozen=True)
class Direct:
    """Answers without thinking, as the difficulty filter asks (the base model's row in Table 1)."""

    max_tokens: int
    name: str = "direct"
    problems: int | None = None

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]:
        prompt = chat.prompt_ids(problem.question, think=False)
        completion = await engine.complete(prompt, max_tokens=self.max_tokens, stop=chat.answer_stops)
        row = {
            "method": "direct",
            "parameters": {},
            "sample": 0,
            "prompt_tokens": len(prompt),
            "thinking": "",
            "answer": chat.decode(completion.ids),
            "thinking_tokens": 0,
            "forced_tokens": 0,
            "answer_tokens": len(completion.ids),
            "decoded_tokens": completion.decoded_tokens,
            "finish": "natural" if completion.finish == "stop" else "forced",
            "waits_used": 0,
        }
        return [row]


@dataclass(frozen=True)
class Forcing:
    """Budget forcing at several points in one greedy pass (figures 1 and 4a, tables 1, 2 and 4).

    unlimited: the cap that stands for "no limit"; recorded as null.
    """

    points: tuple[Budget, ...]
    unlimited: int
    name: str = "forcing"
    problems: int | None = None

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]:
        traces = await sweep(engine, chat, problem.question, self.points)
        return [_row(chat, trace, "budget_forcing", self._parameters(point)) for point, trace in traces.items()]

    def _parameters(self, point: Budget) -> dict:
        limit = None if point.max_thinking == self.unlimited else point.max_thinking
        return {"max_thinking": limit, "waits": point.waits, "wait": point.wait}


@dataclass(frozen=True)
class Sampling:
    """Whole traces at a temperature: `votes` of them for majority votes (figures 4b and 7), rejection sampling for each cap (figure 6).

    Both draw from the same samples, as the paper's two readings of one set would. decoded_tokens of a rejection record are
    those that rejection sampling alone takes.
    """

    budget: Budget
    temperature: float
    votes: int = 0
    caps: tuple[int, ...] = ()
    tries: int = 0
    problems: int | None = None
    name: str = "sampling"

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]:
        count = max(self.votes, self.tries if self.caps else 0)
        own = derive_seed(seed, problem.id)
        traces = await sample_traces(engine, chat, problem.question, count, self.budget, temperature=self.temperature, seed=own)
        voting = {"temperature": self.temperature}
        rows = [_row(chat, trace, "majority", voting, sample=index) for index, trace in enumerate(traces[: self.votes])]
        for cap, outcome in first_within(self.caps, traces[: self.tries]).items():
            parameters = {"cap": cap, "tries": self.tries, "temperature": self.temperature}
            silent = Trace(traces[0].prompt_ids, [], [], [], "natural")
            row = _row(chat, outcome.trace or silent, "rejection", parameters)
            row["decoded_tokens"] = outcome.decoded_tokens
            if outcome.rejected:
                row["finish"] = "rejected"
            rows.append(row)
        return rows


def _row(chat: ChatFormat, trace: Trace, method: str, parameters: dict, *, sample: int = 0) -> dict:
    thinking, answer = trace.texts(chat)
    return {
        "method": method,
        "parameters": parameters,
        "sample": sample,
        "prompt_tokens": len(trace.prompt_ids),
        "thinking": thinking,
        "answer": answer,
        "thinking_tokens": trace.thinking_tokens,
        "forced_tokens": trace.forced_tokens,
        "answer_tokens": len(trace.answer_ids),
        "decoded_tokens": trace.decoded_tokens,
        "finish": trace.finish,
        "waits_used": trace.waits_used,
    }


def plan(profile: Profile, model: str) -> list[Method]:
    """The methods that each model gets: the base model with and without thinking, the ablations at their natural stop, s1 all."""
    settings = profile.evaluation
    natural = Budget(max_thinking=settings.max_thinking, answer_tokens=settings.answer_tokens)
    if model != "s1":
        direct = [Direct(profile.curation.attempt_tokens)] if model == "base" else []
        return [*direct, Forcing((natural,), settings.max_thinking)]
    points = grid(settings.budgets, settings.waits, max_thinking=settings.max_thinking, answer_tokens=settings.answer_tokens)
    points += [
        Budget(max_thinking=settings.max_thinking, waits=settings.string_waits, wait=string, answer_tokens=settings.answer_tokens)
        for string in settings.strings
    ]
    votes, caps, tries = max(settings.votes), settings.rejection_caps, settings.rejection_tries
    vote, reject = settings.vote_temperature, settings.rejection_temperature
    some = settings.sampled_problems
    if vote == reject:
        sampling = [Sampling(natural, vote, votes, caps, tries, some)]
    else:
        sampling = [Sampling(natural, vote, votes=votes, problems=some), Sampling(natural, reject, caps=caps, tries=tries, problems=some)]
    return [Forcing(tuple(dict.fromkeys(points)), settings.max_thinking), *sampling]
