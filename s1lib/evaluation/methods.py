"""What is done with one problem: each method decodes it and returns the beginnings of its evaluation records.

    methods = plan(profile, "s1")            # Forcing(...), Sampling(...)
    rows = await methods[0](engine, chat, problem, seed=0)

A method is a frozen dataclass, so that its fields name its shards; calling it is the async function of one problem.
`run` adds what all records share, and the grade.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

from s1lib.chat import ChatFormat
from s1lib.chat.length_control import CLASSES
from s1lib.engines.protocol import Engine, Request
from s1lib.evaluation.benchmarks import Problem
from s1lib.keeping.hashes import derive_seed, hash_of_model
from s1lib.profile import Profile
from s1lib.thinking.budget import Budget, Trace
from s1lib.thinking.conditional import StepChat, class_conditional, step_conditional, token_conditional
from s1lib.thinking.rejection import first_within
from s1lib.thinking.sweep import grid, sweep
from s1lib.thinking.tree_search import rebase
from s1lib.thinking.voting import sample_traces

if TYPE_CHECKING:
    from s1lib.thinking.reward_model import RewardModel


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
        completion = await engine.complete(Request(prompt, max_tokens=self.max_tokens, stop=chat.answer_stops))
        finish = "natural" if completion.finish == "stop" else "forced"
        trace = Trace(prompt, [], [], [], finish, completion.ids, decoded_tokens=completion.decoded_tokens)
        return [{**_row(chat, trace, "direct", {}), "thinking": "", "answer": chat.decode(completion.ids)}]


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


@dataclass(frozen=True)
class TokenConditional:
    """ "Think for up to N tokens." for each limit, alone and with budget forcing (table 12)."""

    limits: tuple[int, ...]
    budget: Budget
    name: str = "token_conditional"
    problems: int | None = None

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]:
        rows = []
        for limit in self.limits:
            traces = await token_conditional(engine, chat, problem.question, limit, self.budget)
            rows += [_row(chat, trace, name, {"max_thinking": limit}) for name, trace in zip(_both(self.name), traces, strict=True)]
        return rows


@dataclass(frozen=True)
class StepConditional:
    """ "Think for up to N steps." for each limit, alone and with the limit forced (table 13); the countdown is not counted as thinking."""

    limits: tuple[int, ...]
    budget: Budget
    name: str = "step_conditional"
    problems: int | None = None

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]:
        rows, counting = [], StepChat(chat.tokenizer)
        for limit in self.limits:
            traces = await step_conditional(engine, chat, problem.question, limit, self.budget)
            for name, trace in zip(_both(self.name), traces, strict=True):
                row = _row(chat, trace, name, {"steps": limit})
                row["steps_used"] = counting.steps(trace.thinking_ids)
                row["thinking_tokens"] -= counting.delimiter_tokens(trace.thinking_ids)
                rows.append(row)
        return rows


@dataclass(frozen=True)
class ClassConditional:
    """Asked to think for a short time, a long time, or without such a sentence (table 14)."""

    budget: Budget
    name: str = "class_conditional"
    problems: int | None = None

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]:
        traces = {length: await class_conditional(engine, chat, problem.question, length, self.budget) for length in CLASSES}
        return [_row(chat, trace, self.name, {"length": length}) for length, trace in traces.items()]


@dataclass(frozen=True)
class TreeSearch:
    """REBASE at each width (figure 7): one record per search, its text the best trace, its tokens those of the whole tree."""

    widths: tuple[int, ...]
    budget: Budget
    temperature: float
    reward: str  # checkpoint of the process reward model
    weights: str  # hash of its weights
    separator: str
    problems: int | None = None
    name: str = "tree_search"

    async def __call__(self, engine: Engine, chat: ChatFormat, problem: Problem, *, seed: int) -> list[dict]:
        rows = []
        for width in self.widths:
            options = {"reward": _reward_model(self.reward), "separator": self.separator, "temperature": self.temperature}
            own = derive_seed(seed, problem.id, width)
            tree = await rebase(engine, chat, problem.question, width, self.budget, seed=own, **options)
            row = _row(chat, tree.best, self.name, {"width": width, "temperature": self.temperature})
            rows.append({**row, "thinking_tokens": tree.thinking_tokens, "answer_tokens": tree.answer_tokens})
        return rows


@lru_cache(maxsize=1)
def _reward_model(reference: str) -> RewardModel:
    from s1lib.thinking.reward_model import RewardModel  # imports torch, which only decoding needs

    return RewardModel.from_pretrained(reference)


def _both(method: str) -> tuple[str, str]:
    """The names of a conditional method alone and with budget forcing."""
    return method, f"{method}_forced"


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
        "steps_used": None,
        "forced_spans": _forced_spans(chat, trace, thinking),
    }


def _forced_spans(chat: ChatFormat, trace: Trace, thinking: str) -> list[list[int]]:
    """Where in the thinking text the appended tokens stand: [start, end) in characters."""
    whole = chat.decode(trace.thinking_ids)
    at, spans = -(len(whole) - len(whole.lstrip("\n"))), []  # the text begins after its blank lines
    for forced, group in groupby(zip(trace.thinking_ids, trace.forced, strict=True), key=itemgetter(1)):
        end = at + len(chat.decode([token for token, _ in group]))
        if forced and at < len(thinking):
            spans.append([max(at, 0), min(end, len(thinking))])
        at = end
    return spans


def plan(profile: Profile, model: str) -> list[Method]:
    """The methods that each model gets: the base model with and without thinking, the ablations at their natural stop,
    published sets also with Waits (Table 5), s1 all.

    A model trained for conditional control gets that alone; without one for classes s1 itself is asked, as in the paper.
    """
    settings = profile.evaluation
    natural = Budget(max_thinking=settings.max_thinking, answer_tokens=settings.answer_tokens)
    some = settings.sampled_problems
    conditional = {
        "token": TokenConditional(settings.token_limits, natural, problems=some),
        "step": StepConditional(settings.step_limits, natural, problems=some),
        "class": ClassConditional(natural, problems=some),
    }
    if model in profile.sft.conditional:
        return [conditional[model]]
    published = model in [one.name for one in profile.sft.published]
    if model != "s1" and not published:
        direct = [Direct(profile.curation.attempt_tokens)] if model == "base" else []
        return [*direct, Forcing((natural,), settings.max_thinking)]
    budgets = () if published else settings.budgets
    points = grid(budgets, settings.waits, max_thinking=settings.max_thinking, answer_tokens=settings.answer_tokens)
    if published:
        return [Forcing(tuple(points), settings.max_thinking)]
    points += [
        Budget(max_thinking=settings.max_thinking, waits=settings.string_waits, wait=string, answer_tokens=settings.answer_tokens)
        for string in settings.strings
    ]
    votes, caps, tries = max(settings.votes), settings.rejection_caps, settings.rejection_tries
    vote, reject = settings.vote_temperature, settings.rejection_temperature
    if vote == reject:
        sampling = [Sampling(natural, vote, votes, caps, tries, some)]
    else:
        sampling = [Sampling(natural, vote, votes=votes, problems=some), Sampling(natural, reject, caps=caps, tries=tries, problems=some)]
    if settings.reward:
        reward = profile.resolve(settings.reward)
        tree = TreeSearch(settings.tree_widths, natural, vote, reward, hash_of_model(reward), profile.sft.step_separator, some)
        sampling.append(tree)
    asked = [] if "class" in profile.sft.conditional else [conditional["class"]]
    return [Forcing(tuple(dict.fromkeys(points)), settings.max_thinking), *sampling, *asked]
