"""The toy's models on disk, each trained once, and what notebook 00 shows of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn
import torch
from matplotlib.axes import Axes
from transformers import Qwen2ForCausalLM

from s1lib.hardware.plain_attention import PLAIN_ATTENTION
from s1lib.keeping.files import atomic_directory, write_text
from s1lib.keeping.hashes import hash_of, hash_of_file, hash_of_model
from s1lib.keeping.side_by_side import side_by_side
from s1lib.profile import BaseModel, Replica, Universe
from s1lib.toy.gate import GATE
from s1lib.toy.pretrain import pretrain
from s1lib.toy.reward_training import train_reward
from s1lib.toy.tokenizer import build_tokenizer

Log = Callable[[str], None]
SMALL, LARGE = "base-small", "base-large"  # as the profiles call them


def base_models(
    out: Path, universe: Universe, *, context: int, log: Log = print
) -> dict[str, dict[str, Any]]:
    """Train the small base model and every large one into `out`, and return the records by name.

    The first large one is base-large, and with `universe.seeds` = 2 the second one base-large-1.
    Several are trained side by side, which is faster than one after the other by two processes.
    """
    tasks = {SMALL: (out / SMALL, universe.small, universe.seed, context)}
    for number in range(universe.seeds):
        name = LARGE + Replica(number).suffix
        tasks[name] = (out / name, universe.large, universe.seed + number, context)
    several = universe.seeds if torch.get_num_threads() > 1 else 1
    records = side_by_side(_base_model, tasks.values(), workers=several, log=log)
    return dict(zip(tasks, records, strict=True))


def _base_model(task: tuple[Path, BaseModel, int, int], log: Log) -> dict[str, Any]:
    directory, settings, seed, context = task
    return base_model(directory, settings, seed=seed, context=context, log=log)


def base_model(
    directory: Path, settings: BaseModel, *, seed: int, context: int, log: Log = print
) -> dict[str, Any]:
    """Train a base model into `directory`, unless the same one is there, and return its record.

    The record, training.json, holds its key (of the settings and of this package's code),
    parameters, tokens, seconds, whether it passed the gate and had to, and the rows of the loss
    curve and of the gate.
    """
    key = hash_of(settings, seed, context, _code(without="reward_training.py"))
    if record := _finished(directory, key, log):
        return record

    # The record is written last, and the directory appears with it or not at all.
    with atomic_directory(directory) as work:
        tokenizer = build_tokenizer()
        trained = pretrain(
            tokenizer,
            settings,
            seed=seed,
            context=context,
            log=lambda line: log(f"{directory.name}: {line}"),
            processes=min(2, torch.get_num_threads()),
        )

        trained.model.save_pretrained(work)
        tokenizer.save_pretrained(work)
        record = {
            "key": key,
            "parameters": trained.model.num_parameters(),
            "tokens": trained.curve[-1]["tokens"] if trained.curve else 0,
            "seconds": trained.seconds,
            "passed": trained.passed,
            "gated": settings.gated,
            "curve": trained.curve,
            "gate": trained.gate,
        }
        write_text(work / "training.json", json.dumps(record) + "\n")
    return record


def reward_model(
    directory: Path, base: Path, *, tokens: int, seed: int, context: int, log: Log = print
) -> dict[str, Any]:
    """Train the process reward model from the base model at `base`, unless the same one is there.

    Returns its training.json: key, tokens, seconds, and the shares "right" and "wrong" of held-out
    right and wrong lines that are judged so.
    """
    key = hash_of(tokens, seed, context, hash_of_model(str(base)), _code())
    if record := _finished(directory, key, log):
        return record

    start = time.perf_counter()
    with atomic_directory(directory) as work:
        shares = train_reward(
            Qwen2ForCausalLM.from_pretrained(base, attn_implementation=PLAIN_ATTENTION),
            build_tokenizer(),
            work,
            tokens=tokens,
            seed=seed,
            context=context,
            log=lambda line: log(f"{directory.name}: {line}"),
        )
        record = {"key": key, "tokens": tokens, "seconds": time.perf_counter() - start, **shares}
        write_text(work / "training.json", json.dumps(record) + "\n")
    return record


def _finished(directory: Path, key: str, log: Log) -> dict[str, Any] | None:
    """training.json of a model that was trained from just this, or None."""
    try:
        record = json.loads((directory / "training.json").read_text())
    except (OSError, ValueError):  # there is none, or only a part of it
        return None
    if record["key"] != key:
        return None
    log(f"{directory.name}: trained before, {record['tokens'] / 1e6:.1f}M tokens")
    return record


def _code(*, without: str = "") -> list[str]:
    """This package's code as hashes, but for one file: a changed corpus must train anew."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [hash_of_file(path) for path in files if path.name != without]


def gate_table(records: dict[str, dict]) -> pd.DataFrame:
    """One row per skill: what each model reached in the end, and what the gate asks (%)."""
    rows = []
    for skill in dict.fromkeys(
        row["skill"] for record in records.values() for row in record["gate"]
    ):
        reached = {
            f"{name} (%)": 100 * [r["share"] for r in record["gate"] if r["skill"] == skill][-1]
            for name, record in records.items()
        }
        asked = 100 * GATE[skill] if skill in GATE else None
        rows.append({"skill": skill, **reached, "gate (%)": asked})
    return pd.DataFrame(rows)


def skills_figure(gate: pd.DataFrame, ax: Axes) -> Axes:
    """Draw how the skills emerge from the rows of a gate: tokens, skill, share.

    What the gate asks of a skill is a dashed line in the skill's colour.
    """
    shown = gate.assign(tokens=gate["tokens"] / 1e6, share=100 * gate["share"])
    style = {"hue": "skill", "style": "skill", "markers": True, "dashes": False}
    seaborn.lineplot(shown, x="tokens", y="share", **style, ax=ax)
    for skill, color in zip(gate["skill"].unique(), seaborn.color_palette(), strict=False):
        if skill in GATE:
            ax.axhline(100 * GATE[skill], color=color, linestyle="--", linewidth=1, zorder=0)
    ax.plot([], [], color="0.4", linestyle="--", linewidth=1, label="asked by the gate")
    ax.set(xlabel="training tokens (millions)", ylabel="right lines (%)", ylim=(-4, 104))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def loss_figure(curves: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the training loss from rows model, tokens, loss (nats per trained token)."""
    shown = curves.assign(tokens=curves["tokens"] / 1e6)
    seaborn.lineplot(shown, x="tokens", y="loss", hue="model", style="model", ax=ax)
    ax.set(xlabel="training tokens (millions)", ylabel="loss (nats per token)")
    ax.legend(title=None)
    return ax
