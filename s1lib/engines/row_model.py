"""A model of transformers over the rows of a key-value cache: ids and their places in, logits out.

On the CPU in float32 the logits do not depend, to the last bit, on what else is in the batch: rows
are computed in numbers and lengths at which the matrix products treat each row alike
(tests/bench/bench_engine.py measures it on the machine at hand). A reused prefix may differ from a
recomputed one in the last bit, since its keys and values were computed one token at a time. So may
everything in 16-bit types or on a GPU. docs/engine.md says what a step costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from s1lib.engines.decode_steps import DecodeSteps
from s1lib.engines.fused_norms import FusedNorms
from s1lib.engines.packed_linears import PackedLinears
from s1lib.engines.page_attention import ATTENTION, ChunkView, StepView
from s1lib.engines.page_cache import PageCache
from s1lib.engines.protocol import EngineError
from s1lib.engines.schedule import Row
from s1lib.hardware.attention_kernels import without_plans

SHORT = 16  # so many tokens ahead or fewer are fed one a step, which is cheaper than a prefill pass
WIDTHS = (32, 64, 96, 128, 192, 256, 384, 512)  # tokens per row of a prefill pass


@dataclass(frozen=True)
class Sizes:
    """What suits a kind of device.

    page: tokens of a page of the cache. A row's last page is read whole, a small one costs a call.
    prefill: tokens of a prefill pass at most.
    mixed: whether rows of up to twice another's width share its pass. Otherwise the width depends
        on a row's own length alone, and with it every bit of the result.
    ahead: steps between two looks at what was sampled. What a row samples after its end is lost.
    graphs: decode in few shapes, so that a GPU can record a step of each and replay it.
    """

    page: int
    prefill: int
    mixed: bool
    ahead: int
    graphs: bool


# A prefill pass of more tokens no longer fits a processor's cache.
CPU = Sizes(page=32, prefill=1024, mixed=False, ahead=1, graphs=False)
GPU = Sizes(page=128, prefill=8192, mixed=True, ahead=8, graphs=True)


class RowModel:
    """The passes of `model` over `rows` rows of up to `columns` tokens each.

    vocab_size: logits are returned of the ids below it.
    sizes: by default those of the model's device.
    cache: the rows' keys and values, as `Schedule` arranges them.
    steps: decodes, see `DecodeSteps`.
    Raises EngineError for a model whose attention is not plain or that another engine has, and as
    `PageCache` does.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        vocab_size: int,
        rows: int,
        columns: int,
        sizes: Sizes | None = None,
    ) -> None:
        config = model.config.get_text_config()
        _require_plain_attention(model, columns)
        self.model, self.vocab_size = model.eval(), vocab_size
        self.device = model.device  # looked up once: the model walks its parameters for it
        self.sizes = sizes or (GPU if self.device.type == "cuda" else CPU)
        self.cache = PageCache(
            config,
            rows=rows,
            columns=columns,
            page=self.sizes.page,
            dtype=model.dtype,
            device=self.device,
        )
        self._own_attention = config._attn_implementation
        model.set_attn_implementation(ATTENTION)
        self._replaced = [PackedLinears(model)]
        if self.device.type == "cuda":
            self._replaced.append(FusedNorms(model))
            without_plans()
        self.steps = DecodeSteps(
            self._forward,
            self.cache,
            ahead=self.sizes.ahead,
            graphs=self.sizes.graphs,
            device=self.device,
        )

    def close(self) -> None:
        """Free the cache and give the model its own attention, linear layers and norms back."""
        self.steps.close()
        for replaced in self._replaced:
            replaced.close()
        self.cache.layers = ()
        self.model.set_attn_implementation(self._own_attention)

    def prefill(self, rows: Sequence[Row]) -> None:
        """Feed what `rows` have ahead of their last known token, many tokens at a time."""
        while waiting := [row for row in rows if row.ahead > SHORT]:
            # Rows of the same width share a pass, or of about the same.
            width = max(map(_width, waiting))
            least = width // 2 if self.sizes.mixed else width
            most = max(1, self.sizes.prefill // width)
            group = [row for row in waiting if _width(row) >= least][:most]

            # A row with less to feed repeats its last token at that token's own place, which
            # changes nothing.
            places = [
                [min(row.cached + i, len(row.ids) - 2) for i in range(width)] for row in group
            ]
            tokens = [
                [row.ids[place] for place in line] for row, line in zip(group, places, strict=True)
            ]
            for row, line in zip(group, places, strict=True):
                self.cache.reserve(row.index, line[-1] + 1)
                row.cached = line[-1] + 1

            table = self.cache.pages_of_rows([row.index for row in group])
            ids, positions = (torch.tensor(lines, device=self.device) for lines in (tokens, places))
            view = ChunkView(self.cache, positions, torch.from_numpy(table).to(self.device))
            self._forward(ids, positions, view)

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, view: StepView | ChunkView
    ) -> torch.Tensor:
        """Logits [rows, vocab_size] behind the last of `ids` [rows, tokens]."""
        output = self.model(
            input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=1, view=view
        )
        return output.logits[:, -1, : self.vocab_size].float()


def _width(row: Row) -> int:
    return next((width for width in WIDTHS if width >= row.ahead), WIDTHS[-1])


def _require_plain_attention(model: PreTrainedModel, max_context: int) -> None:
    """Refuse models that the row cache cannot serve, or serves already."""
    name, config = type(model).__name__, model.config.get_text_config()
    if config._attn_implementation == ATTENTION:
        raise EngineError(
            "another engine decodes with this model object: close that one, or load the model again"
        )
    layers = getattr(config, "layer_types", None)
    kinds = set(layers or {"full_attention"})
    if not model._supports_attention_backend or kinds - {"full_attention", "sliding_attention"}:
        raise EngineError(
            f"{name} does not use transformers' attention interface throughout: use another engine"
        )

    # A window as long as the context hides nothing. Without layer types every layer has it.
    window = getattr(config, "sliding_window", None)
    if window and window < max_context and (kinds != {"full_attention"} or not layers):
        raise EngineError(
            f"{name} attends over a window of {window} tokens: lower engine.max_context to that"
        )
