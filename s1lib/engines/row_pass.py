"""A pass of the model over rows of the cache, as a function of tensors alone - so that it can also run as a traced graph.

At toy sizes a third of a decoding step is Python between the operations of transformers' modules. Tracing records the
operations once; the code that runs stays transformers', and so does every bit of the result.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from s1lib.engines.row_cache import STEP, RowView

TRACEABLE = ("qwen2",)  # models whose code takes no decision on data: no experts, no rotary scaling that depends on the length

Layers = Sequence[tuple[torch.Tensor, torch.Tensor]]
Step = Callable[..., torch.Tensor]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Tracing looks at every attribute of the model, and transformers comments on one of them."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)


class RowPass(torch.nn.Module):
    """ids and positions [rows, tokens], bias (`RowCache.bias`), cache layers, indices of the rows -> logits [rows, vocabulary]."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, bias: torch.Tensor, layers: Layers, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        view = RowView(layers, positions, bias, rows)
        return self.model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=1, row_view=view).logits[:, -1]


def traced(row_pass: RowPass, ids: torch.Tensor, positions: torch.Tensor, bias: torch.Tensor, layers: Layers) -> Step:
    """`row_pass` for one token per row, recorded on these inputs; `row_pass` itself where a recording is not safe or not equal."""
    config = row_pass.model.config.get_text_config()
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if config.model_type not in TRACEABLE or rope != "default" or ids.device.type != "cpu":
        return row_pass
    inputs = (ids, positions, bias, layers)
    smaller = (ids[:4], positions[:4], bias[:4, ..., :STEP], layers)
    with contextlib.suppress(Exception), _silence():  # tracing is deprecated and, from Python 3.14 on, missing
        graph = torch.jit.trace(row_pass, inputs, check_trace=False)

        def run(*inputs: object) -> torch.Tensor:
            with torch.jit.optimized_execution(False):  # no second thoughts about every new shape
                return graph(*inputs)

        if all(torch.equal(run(*example), row_pass(*example)) for example in (smaller, inputs)):
            return run
    return row_pass
