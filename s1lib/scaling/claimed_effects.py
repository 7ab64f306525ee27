"""The effect behind each of the paper's claims, measured on one benchmark of this run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from s1lib.scaling import metrics
from s1lib.scaling.effects import (
    Bench,
    Effect,
    Missing,
    against_curve,
    always_accepted,
    best_base,
    controlled,
    difference,
    mean_effect,
    same_traces,
    slope,
)
from s1lib.scaling.vote_curve import vote_curve

ANSWER = "answer_tokens"


def rises(bench: Bench) -> Effect:
    """Slope over the budgets up to the natural stop (Figure 1)."""
    runs = below_natural(bench)
    effect = slope(bench, runs)
    steps = np.diff(bench.frame(runs).mean())
    return replace(effect, note=f"{bench.name}: {int((steps > 0).sum())} of {len(steps)} steps up")


def below_natural(bench: Bench) -> list[int]:
    """Budgets that really cut, and the natural stop.

    Their average thinking is at least 1 % below that of the natural stop.
    """
    natural = bench.natural()
    runs = bench.having(bench.records.budgets())
    tokens = bench.frame(runs, "thinking_tokens").mean()
    longest = tokens[natural] / 2**metrics.NEAR
    return [run for run in runs if run == natural or tokens[run] < longest]


def extends(bench: Bench, *, waits: int) -> Effect:
    """`waits` Waits against the natural stop (Figure 4a)."""
    return difference(bench, bench.natural(), bench.waits("Wait", waits))


def adds_less(bench: Bench) -> Effect:
    """Gain per Wait of the last step minus that of the first: below 0 when the curve flattens."""
    runs = [bench.natural(), *bench.having(bench.records.waits())]
    if len(runs) < 3:
        raise Missing("fewer than two numbers of Waits")
    waits = bench.records.runs["waits"][runs].to_numpy()
    _, replicas, correct = bench.paired(runs)
    gains = 100 * np.diff(correct, axis=2) / np.diff(waits)

    first, last = (f"{waits[at]:.0f} to {waits[at + 1]:.0f}" for at in (0, -2))
    note = f"gain per Wait, {first} against {last}"
    return mean_effect(gains[..., -1] - gains[..., 0], replicas, bench, note)


def loses_nothing(bench: Bench, *, waits: int) -> Effect:
    """The largest number of Waits against `waits` Waits (Figure 4a, the end of the curve)."""
    most = bench.having(bench.records.waits())[-1:]
    fewer = bench.waits("Wait", waits)
    if most == [fewer]:
        raise Missing(f"no more than {waits} Waits")
    number = bench.records.runs["waits"][most[0]]
    cut = 100 * bench.column(most[0], "forced").mean()
    note = f"{bench.name}: {number:.0f} Waits against {waits}, {cut:.0f} % cut at the longest limit"
    return difference(bench, fewer, most[0], note)


def beyond_limits(bench: Bench, method: str) -> Effect:
    """Share of samples in % that think beyond the limit of a conditional method (Table 3)."""
    kept = controlled(bench, method)
    by_seed = {replica: 100 - value for replica, value in kept.by_seed.items()}
    return replace(kept, by_seed=by_seed, seed_draws=100 - kept.seed_draws)


def strings(bench: Bench, other: str, *, waits: int) -> Effect:
    """The curve of "Wait" against another string at equal thinking tokens (Table 4).

    Raises Missing where both gave the same traces, as when the model writes "Wait" by itself.
    """
    run = bench.waits(other, waits)
    if same_traces(bench, run, bench.waits("Wait", waits)):
        raise Missing("the same traces")
    curve = [bench.natural(), *bench.having(bench.records.waits())]
    return against_curve(bench, curve, run)


def curation(bench: Bench, other: str) -> Effect:
    """The s1 set against another training set, both at the natural stop (Table 2)."""
    runs = [bench.natural(other), bench.natural()]
    theirs, ours = bench.frame(runs, "thinking_tokens").mean()
    equal = curation_at_equal_tokens(bench, other).value
    note = f"{bench.name}: {ours:.0f} tokens against {theirs:.0f}, at equal tokens {equal:+.1f}"
    return difference(bench, *runs, note)


def curation_at_equal_tokens(bench: Bench, other: str) -> Effect:
    """The whole curve of s1 against another set's natural stop, at equal thinking tokens."""
    records = bench.records
    curve = bench.having([*records.budgets(), *records.waits()])
    bench.first(curve, "model s1 with budgets or Waits")
    return against_curve(bench, curve, bench.natural(other))


def lifts(bench: Bench) -> Effect:
    """s1 at its natural stop against the *best* run of the base model, in favour of the base."""
    base = best_base(bench)
    note = f"{bench.name}: base at its best ({bench.records.runs['label'][base]})"
    return difference(bench, base, bench.natural(), note)


def rejection(bench: Bench) -> Effect:
    """Slope over the caps of rejection sampling, on problems that fit every cap (Figure 6)."""
    runs = bench.having(bench.records.find(method="rejection"))
    bench.first(runs, "rejection sampling")
    accepted = always_accepted(bench, runs)
    note = f"{bench.name}: {len(accepted)} problems accepted at every cap"
    return replace(slope(bench, runs, only=accepted), note=note)


def equal_tokens(bench: Bench, *, waits: int, votes: Sequence[int]) -> Effect:
    """Sequential (`waits` Waits) minus parallel (a vote) at the same decoded tokens (Figure 4b).

    Decoded are the thinking and the answers that the model writes itself, of all samples. A sweep
    shares its traces, so that for a number of Waits this is what it would cost alone. The vote's
    accuracy is interpolated on log2(tokens). Beyond its last k it keeps the last value.
    """
    sequential = bench.waits("Wait", waits)
    if not votes:
        raise Missing("no votes in this profile")
    voting = bench.first(bench.records.find(method="majority"), "majority vote")
    accuracy, tokens = vote_curve(bench, voting, votes)

    # paired: only problems that were both waited for and voted on, by the first replica with both
    problems, replicas, correct = bench.paired([sequential, voting])
    spent = bench.paired([sequential, voting], "sampled_tokens").values[:, 0, 0].mean()
    accuracy, tokens = accuracy.loc[problems], tokens.loc[problems]

    # how much each k counts at the tokens that the sequential run spent
    k_tokens = tokens.mean().to_numpy()
    shares = metrics.shares_at(k_tokens, spent)
    paired = 100 * (correct[:, :1, 0] - (accuracy.to_numpy() @ shares)[:, None])

    k = 2 ** (np.log2(accuracy.columns.to_numpy(dtype=float)) @ shares)
    beyond = "" if k_tokens[0] <= spent <= k_tokens[-1] else ", end of the vote's range"
    most = 100 * (correct[:, 0, 0].mean() - accuracy.iloc[:, -1].mean())
    note = f"{bench.name}: {spent:.0f} tokens{_around(bench, sequential)}, k = {k:.1f}{beyond}"
    note += f", {most:+.1f} against k = {accuracy.columns[-1]}"
    return mean_effect(paired, replicas[:1], bench, note)


def _around(bench: Bench, run: int) -> str:
    """The tokens of the prompt and of the answer, where the records hold them."""
    counted = (bench.records.frame(bench.name, [run], name) for name in ("prompt_tokens", ANSWER))
    prompt, answer = (table[run].mean() for table in counted)
    return "" if np.isnan(prompt) else f" ({answer:.0f} of the answer; prompt {prompt:.0f})"
