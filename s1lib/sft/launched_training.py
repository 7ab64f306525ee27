"""One training in several processes of this machine, which are given its samples in files."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from s1lib.curation.pool import Sample
from s1lib.hardware.launcher import launch
from s1lib.keeping.files import write_jsonl
from s1lib.profile import FIRST, Profile, Replica


def train_in_processes(
    samples: Sequence[Sample],
    *,
    profile: Profile,
    name: str,
    out: Path,
    replica: Replica = FIRST,
    log: Callable[[str], None] = print,
) -> None:
    """`train` in `sft.processes` processes.

    Checkpoints stay when they are stopped. Raises TrainingError with the reason that a process
    gives.
    """
    settings = dataclasses.replace(profile.sft, base=profile.resolve(profile.sft.base))
    with tempfile.TemporaryDirectory() as place:
        handed, texts = Path(place) / "profile.yaml", Path(place) / "samples.jsonl"
        lists = json.loads(json.dumps({"sft": dataclasses.asdict(settings)}))  # for tuples
        handed.write_text(yaml.safe_dump(lists), encoding="utf-8")
        write_jsonl(texts, map(dataclasses.asdict, samples))
        arguments = ["--profile", str(handed), "--set", name]
        arguments += ["--base-seed", str(replica.base_seed), "--sft-seed", str(replica.sft_seed)]
        arguments += ["--samples", str(texts), "--out", str(out.resolve())]
        module, label = "s1lib.sft.training_process", name + replica.suffix
        launch(module, arguments, processes=settings.processes, name=label, log=log)
