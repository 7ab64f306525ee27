"""README.md of a trained model's directory: what it is, from what, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_card(record: Mapping[str, Any], *, data: str) -> str:
    """The model card as Markdown with the hub's front matter.

    `record` is training.json and `data` the data set's hash.
    """

    def table(rows: Mapping[str, Any]) -> str:
        return "| | |\n|---|---|\n" + "".join(
            f"| {name} | {value} |\n" for name, value in rows.items()
        )

    run = {
        "base model": f"`{record['base']}`",
        "examples": record["examples"],
        "data hash": f"`{data}`",
        "steps": record["steps"],
        "epochs": record["epochs"],
        "tokens": f"{record['tokens']:,}",
        "mean loss": f"{record['loss']:.4f}",
        "loss of the last tenth": f"{record['final_loss']:.4f}",
        "key": f"`{record['key']}`",
    }
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [s1, trl, sft]
---
# {record["name"]}

Fine-tuned as in [s1: Simple test-time scaling](https://arxiv.org/abs/2501.19393) \
(section 4.1, appendix D) by s1lib. An
answer opens with `<|im_start|>think`, closes the thought with `<|im_start|>answer` \
and ends with `<|im_end|>`; the loss
was on these parts alone.

{table(run)}
## Settings

{table(record["settings"])}
## Versions

{table(record["versions"])}"""
