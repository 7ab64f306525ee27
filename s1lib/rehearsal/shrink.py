"""The profile of a rehearsal: the same stages with small numbers, on models that stand in.

small = shrink(profile, models, tables, machine)
path = write_profile(small)  # outputs/h100-rehearsal/profile.yaml, for the notebooks
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path

import yaml

from s1lib.keeping.files import write_text
from s1lib.profile import SFT, Assistant, Curation, EngineSettings, Evaluation, Profile
from s1lib.rehearsal.machine import Machine
from s1lib.rehearsal.stand_in import StandIns

RESAMPLES = 500  # of notebook 05
CPU_PROCESSES = 2  # that stand in for those of a training
SEEDS = 2  # that several trainings of a model are tried with
ROWS = 32  # sequences decoded at a time


def shrink(
    profile: Profile, models: StandIns, tables: Mapping[str, str], machine: Machine
) -> Profile:
    """`profile` with everything that takes time made small.

    tables: what stands in for each pool, published set and benchmark, by the profile's reference.
    What the profile does not name stays unnamed.
    """
    return dataclasses.replace(
        profile,
        name=f"{profile.name}-rehearsal",
        description=f"the rehearsal of {profile.name} - NUMBERS MEAN NOTHING",
        curation=_curation(profile, models, tables),
        sft=_sft(profile, models, tables, machine),
        engine=_engine(profile, models, machine),
        evaluation=_evaluation(profile, models, tables),
        scaling=dataclasses.replace(profile.scaling, resamples=RESAMPLES),
        continues="",  # a rehearsal stands alone
    )


def write_profile(profile: Profile) -> Path:
    """Write the profile as YAML into its outputs and return the file."""
    values = dataclasses.asdict(profile)
    for key in ("outputs_root", "rehearsal"):
        del values[key]
    path = profile.outputs / "profile.yaml"
    plain = json.loads(json.dumps(values))  # lists for tuples
    write_text(path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    return path


def _curation(profile: Profile, models: StandIns, tables: Mapping[str, str]) -> Curation:
    settings, small = profile.curation, profile.rehearsal

    def assistant(asked: Assistant | None, model: Path) -> Assistant | None:
        if asked is None or asked.url:  # an endpoint is rehearsed as it is
            return asked
        limit = min(asked.max_tokens, small.attempt_tokens)
        return dataclasses.replace(asked, model=str(model), max_tokens=limit)

    asked = [models.short if name == profile.sft.base else models.whole for name in settings.models]
    return dataclasses.replace(
        settings,
        pool=tables.get(settings.pool, settings.pool),
        also_tests=tuple(tables[name] for name in settings.also_tests),
        target=min(settings.target, small.selected),
        models=tuple(dict.fromkeys(map(str, asked))),
        attempt_tokens=min(settings.attempt_tokens, small.attempt_tokens),
        teacher=assistant(settings.teacher, models.whole),
        classifier=assistant(settings.classifier, models.classifier),
        judge=assistant(settings.judge, models.judge),
    )


def _sft(profile: Profile, models: StandIns, tables: Mapping[str, str], machine: Machine) -> SFT:
    settings, small = profile.sft, profile.rehearsal
    processes = min(settings.processes, machine.gpus or CPU_PROCESSES)
    micro = min(settings.micro_batch_size, 2)
    length = min(settings.max_length, models.context)
    published = [
        dataclasses.replace(
            one, path=tables.get(one.path, one.path), max_length=min(one.max_length, length)
        )
        for one in settings.published
    ]
    return dataclasses.replace(
        settings,
        base=str(models.short),
        published=tuple(published),
        seeds=min(settings.seeds, SEEDS),
        cut_length=min(settings.cut_length, small.cut_length),
        epochs=float(small.steps),  # of which each has at least one step
        max_steps=small.steps,
        batch_size=processes * micro,
        micro_batch_size=micro,
        max_length=length,
        bf16=settings.bf16 and machine.bf16,
        processes=processes,
        checkpoint_steps=min(settings.checkpoint_steps, small.steps),
    )


def _engine(profile: Profile, models: StandIns, machine: Machine) -> EngineSettings:
    settings, small = profile.engine, profile.rehearsal
    across = min(settings.tensor_parallel, machine.gpus or 1)
    return dataclasses.replace(
        settings,
        kind=machine.kind,
        dtype=settings.dtype if machine.bf16 else "float32",
        max_rows=min(settings.max_rows, ROWS),
        max_context=min(settings.max_context, small.context, models.context),
        tensor_parallel=math.gcd(across, models.heads),
        data_parallel=min(settings.data_parallel, max(1, machine.gpus)),
    )


def _evaluation(profile: Profile, models: StandIns, tables: Mapping[str, str]) -> Evaluation:
    settings, small = profile.evaluation, profile.rehearsal
    thinking = min(settings.max_thinking, small.thinking_tokens)

    def scaled(tokens: tuple[int, ...]) -> tuple[int, ...]:
        """Limits in the same proportion to all of thinking as the profile's own."""
        small_ones = (max(1, each * thinking // settings.max_thinking) for each in tokens)
        return tuple(dict.fromkeys(small_ones))

    def few(counts: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(min(count, small.samples) for count in counts))

    benchmarks = [
        dataclasses.replace(
            one,
            path=tables[one.path],
            limit=min(one.limit or small.problems, small.problems),
            sha256="",  # is checked beforehand, on the whole set
        )
        for one in settings.benchmarks
    ]
    return dataclasses.replace(
        settings,
        benchmarks=tuple(benchmarks),
        models=dict.fromkeys(settings.models, str(models.short)),
        max_thinking=thinking,
        budgets=scaled(settings.budgets),
        answer_tokens=min(settings.answer_tokens, small.answer_tokens),
        sampled_problems=1,
        votes=few(settings.votes),
        rejection_caps=scaled(settings.rejection_caps),
        rejection_tries=min(settings.rejection_tries, small.samples),
        reward=settings.reward and str(models.short),
        tree_widths=few(settings.tree_widths),
    )
