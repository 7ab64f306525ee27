"""What a run reads, decodes and trains, one row per notebook and model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s1lib.evaluation.methods import Forcing, TreeSearch
from s1lib.evaluation.model_methods import methods_for
from s1lib.hardware.architectures import architecture
from s1lib.hardware.training_time import capped_steps, training_hours
from s1lib.planning import lengths
from s1lib.planning.counts import pool_size, problem_count
from s1lib.planning.speeds import Decoding, Hours, model_size, reading_hours
from s1lib.profile import (
    Assistant,
    Benchmark,
    EngineSettings,
    Profile,
    Replica,
    replicas_of,
    sized_sets,
    split_revision,
)

SHOWN = 100  # problems that notebook 03 decodes in one pass
COMPARED = 10  # of which it also decodes as separate runs


@dataclass(frozen=True)
class Work:
    """One row of the plan.

    read, decoded: tokens into and out of the model. A training reads what it is trained on.
    """

    notebook: str
    model: str
    what: str
    read: float
    decoded: float
    hours: Hours


@dataclass(frozen=True)
class Machine:
    """The GPUs of the plan, with their memory in bytes."""

    gpus: int
    gpu: float

    def hours(self, reference: str, engine: EngineSettings, **tokens: float) -> Hours:
        """Hours of decoding with a model, see `Decoding.hours` for the tokens."""
        return Decoding(model_size(reference), engine, self.gpus, self.gpu).hours(**tokens)


def workload(profile: Profile, machine: Machine) -> list[Work]:
    """Everything of the profile's notebooks that takes a GPU, in their order.

    Raises PlanError for a pool or a model whose size is not known before it is fetched.
    """
    parts = {
        "01_curation": _curation,
        "02_sft": _training,
        "03_budget_forcing": _forcing,
        "04_evaluation": _evaluation,
    }
    return [
        work
        for notebook, part in parts.items()
        if notebook in profile.notebooks
        for work in part(profile, machine)
    ]


def _curation(profile: Profile, machine: Machine) -> Iterator[Work]:
    """The teacher, the classifier, the attempts of both models, the judge."""
    settings, size = profile.curation, pool_size(profile.curation.pool, profile)
    if settings.teacher and settings.pool.endswith((".yaml", ".yml")):
        yield _asked(profile, machine, settings.teacher, "traces of", size, lengths.TRACE)
    if settings.classifier:
        yield _asked(profile, machine, settings.classifier, "domains of", size, lengths.DOMAIN)

    attempt = lengths.PROMPT, min(lengths.DIRECT, settings.attempt_tokens)
    for reference in settings.models:
        model = Assistant(
            model=reference,
            max_tokens=settings.attempt_tokens,
            concurrency=profile.engine.max_rows,
        )
        yield _asked(profile, machine, model, "attempts at", size, attempt)

    # The judge also sees the teacher's answers, to about half of the questions.
    if settings.judge:
        verdicts = round(size * lengths.JUDGED * (len(settings.models) + 0.5))
        yield _asked(profile, machine, settings.judge, "verdicts on", verdicts, lengths.VERDICT)


def _asked(
    profile: Profile,
    machine: Machine,
    asked: Assistant,
    what: str,
    count: int,
    each: tuple[int, int],
) -> Work:
    """A language model that curation asks, `each` being the tokens in and out of one question.

    An endpoint takes none of this machine's hours.
    """
    read, decoded, hours = count * each[0], count * each[1], (0.0, 0.0)
    if not asked.url:
        rows = min(profile.engine.max_rows, asked.concurrency)
        engine = dataclasses.replace(profile.engine, max_rows=rows)
        tokens = {"read": read, "decoded": decoded, "length": sum(each)}
        model = profile.resolve(asked.model)
        hours = machine.hours(model, engine, **tokens, longest=asked.max_tokens)
    name = short_name(asked.model) + (" (endpoint)" if asked.url else "")
    return Work("01_curation", name, f"{what} {count:,}", read, decoded, hours)


def _training(profile: Profile, machine: Machine) -> Iterator[Work]:
    """Every training of every model of notebook 02, on all GPUs."""
    settings = dataclasses.replace(profile.sft, processes=machine.gpus)
    base = profile.resolve(settings.base)
    for name in settings.models:
        examples = _examples(profile, name)
        steps, share = capped_steps(examples, settings)
        sample = min(lengths.sample_tokens(name), settings.limit_of(name))
        tokens = round(examples * settings.epochs * sample * share)
        parameters = model_size(base).parameters
        size = {"parameters": parameters, "tokens": tokens, "steps": steps}
        hours = training_hours(architecture(base), settings, **size)
        what = f"trained on {examples:,} examples, {steps:,} steps"
        for replica in replicas_of(profile, name):
            yield Work("02_sft", name + replica.suffix, what, tokens, 0, hours)


def _examples(profile: Profile, name: str) -> int:
    """How many examples the training set of a model has: a published one, or notebook 01's."""
    curation = profile.curation
    path = {one.name: one.path for one in profile.sft.published}.get(name, "")
    if path and not path.startswith("@01_curation"):
        return pool_size(path, profile)
    made = Path(path).stem or name  # published again under another name, or a set itself
    whole = pool_size(curation.pool, profile)
    if made == "full":
        return min(whole, curation.full_size or whole)
    as_it_is = made == "s1" and curation.selection == "published"
    _, size = sized_sets(curation).get(made, (made, curation.target))
    return whole if as_it_is else min(whole, size)


def _forcing(profile: Profile, machine: Machine) -> Iterator[Work]:
    """The sweep of notebook 03, in one pass and, on a few problems, point by point."""
    benchmark = profile.evaluation.benchmarks[0]
    problems = problem_count(profile, benchmark)
    count, compared = min(SHOWN, problems), min(COMPARED, problems)
    natural = lengths.natural_thinking(benchmark.role, "s1")
    decoded = sum(
        (count + compared) * lengths.decoded_tokens(one, natural)
        + compared * lengths.separate_tokens(one, natural)
        for one in methods_for(profile, "s1")
        if isinstance(one, Forcing)
    )
    what = f"the sweep on {count} problems, and on {compared} point by point"
    yield _decoded(profile, machine, "03_budget_forcing", "s1", what, count, natural, decoded)


def _evaluation(profile: Profile, machine: Machine) -> Iterator[Work]:
    """Every training of every model with its methods on every benchmark."""
    sizes = {one: problem_count(profile, one) for one in profile.evaluation.benchmarks}
    for model in profile.model_paths:
        for replica in replicas_of(profile, model):
            yield from _evaluated(profile, machine, model, replica, sizes)


def _evaluated(
    profile: Profile, machine: Machine, model: str, replica: Replica, sizes: dict[Benchmark, int]
) -> Iterator[Work]:
    """One training of a model, and the reward model of its tree search.

    sizes: how many problems each benchmark has.
    """
    methods, problems = methods_for(profile, model, replica), sum(sizes.values())
    naturals = {one: lengths.natural_thinking(one.role, model) for one in sizes}

    # How many problems each method is asked, and the thinking tokens of one of them.
    asked = [
        (method, min(size, method.problems or size), naturals[benchmark])
        for benchmark, size in sizes.items()
        for method in methods
    ]
    decoded = sum(n * lengths.decoded_tokens(method, long) for method, n, long in asked)
    mean = sum(size * naturals[benchmark] for benchmark, size in sizes.items()) / problems
    what = ", ".join(method.name.replace("_", " ") for method in methods)
    work = _decoded(profile, machine, "04_evaluation", model, what, problems, mean, decoded)
    yield dataclasses.replace(work, model=model + replica.suffix)

    searches = [one for one in asked if isinstance(one[0], TreeSearch)]
    if searches:
        read = sum(n * lengths.judged_tokens(method, long) for method, n, long in searches)
        reward = profile.evaluation.reward
        hours = reading_hours(model_size(profile.resolve(reward)), read)
        what = "rewards of tree search, on one GPU"
        yield Work("04_evaluation", short_name(reward), what, read, 0, hours)


def _decoded(
    profile: Profile,
    machine: Machine,
    notebook: str,
    model: str,
    what: str,
    problems: int,
    thinking: float,
    decoded: float,
) -> Work:
    """A row of an evaluated model, in traces of `thinking` tokens on average.

    What notebook 02 trains has the size of its base.
    """
    read = problems * lengths.PROMPT
    hours = machine.hours(
        profile.resolve(profile.evaluation.models.get(model, profile.sft.base)),
        profile.engine,
        read=read,
        decoded=decoded,
        length=lengths.PROMPT + thinking + lengths.ANSWER,
        longest=profile.evaluation.max_thinking,
    )
    return Work(notebook, model, what, read, decoded, hours)


def short_name(reference: str) -> str:
    """A model's name without its owner and revision."""
    return split_revision(reference)[0].rpartition("/")[2]
