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
    always_accepted,
    best_base,
    difference,
    mean_effect,
    same_traces,
    slope,
)
from s1lib.scaling.vote_curve import vote_curve


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


def flattens(bench: Bench) -> Effect:
    """Gain per Wait of the last step minus that of the first: below 0 when the curve flattens."""
    runs = [bench.natural(), *bench.having(bench.records.waits())]
    if len(runs) < 3:
        raise Missing("fewer than two numbers of Waits")
    waits = bench.records.runs["waits"][runs].to_numpy()
    gains = 100 * np.diff(bench.frame(runs).to_numpy(), axis=1) / np.diff(waits)
    first, last = (f"{waits[at]:.0f} to {waits[at + 1]:.0f}" for at in (0, -2))
    return mean_effect(gains[:, -1] - gains[:, 0], bench, f"gain per Wait, {first} against {last}")


def strings(bench: Bench, other: str, *, waits: int) -> Effect:
    """The string "Wait" against another one, appended equally often (Table 4).

    Raises Missing where both gave the same traces, as when the model writes "Wait" by itself.
    """
    runs = [bench.waits(other, waits), bench.waits("Wait", waits)]
    if same_traces(bench, *runs):
        raise Missing("the same traces")
    return difference(bench, *runs)


def curation(bench: Bench, other: str) -> Effect:
    """The s1 set against another training set, both at the natural stop (Table 2)."""
    return difference(bench, bench.natural(other), bench.natural())


def lifts(bench: Bench) -> Effect:
    """s1 at its natural stop against the *best* run of the base model, in favour of the base."""
    base = best_base(bench)
    note = f"{bench.name}: base at its best ({bench.records.runs['label'][base]})"
    return replace(difference(bench, base, bench.natural()), note=note)


def rejection(bench: Bench) -> Effect:
    """Slope over the caps of rejection sampling, on problems that fit every cap (Figure 6)."""
    runs = bench.having(bench.records.find(method="rejection"))
    bench.first(runs, "rejection sampling")
    accepted = always_accepted(bench, runs)
    note = f"{bench.name}: {len(accepted)} problems accepted at every cap"
    return replace(slope(bench, runs, only=accepted), note=note)


def equal_tokens(bench: Bench, *, waits: int, votes: Sequence[int]) -> Effect:
    """Sequential (`waits` Waits) minus parallel (a vote) at the same total tokens (Figure 4b).

    The vote's accuracy is interpolated on log2(tokens). Beyond its last k it keeps the last value.
    """
    sequential = bench.waits("Wait", waits)
    if not votes:
        raise Missing("no votes in this profile")
    voting = bench.first(bench.records.find(method="majority"), "majority vote")
    accuracy, tokens = vote_curve(bench, voting, votes)

    # paired: only problems that were both waited for and voted on
    correct, spent = (bench.column(sequential, value) for value in ("correct", "total_tokens"))
    both = accuracy.index.intersection(correct.index)
    if both.empty:
        raise Missing("no problem with both")

    # how much each k counts at the tokens that the sequential run spent
    at = np.log2(spent[both].mean())
    k_tokens = np.log2(tokens.loc[both].mean().to_numpy())
    share = np.array([np.interp(at, k_tokens, unit) for unit in np.eye(len(k_tokens))])

    paired = 100 * (correct[both].to_numpy() - accuracy.loc[both].to_numpy() @ share)
    k = np.interp(at, k_tokens, np.log2(accuracy.columns.to_numpy(dtype=float)))
    beyond = "" if k_tokens[0] <= at <= k_tokens[-1] else " (end of the vote's range)"
    return mean_effect(paired, bench, f"{bench.name}: {2**at:.0f} tokens, k = {2**k:.1f}{beyond}")
