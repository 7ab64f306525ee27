"""The embedded engine: any decoder of transformers, on the CPU or one GPU, with continuous batching.

    engine = TorchEngine.from_pretrained("outputs/toy/02_sft/s1", dtype="float32", max_rows=64, max_context=512)
    completion = await engine.complete(Request(prompt_ids, max_tokens=256, stop=[(im_start,), (im_end,)]))

Every step feeds one token of each live row; what a row has ahead of its last known token is fed many tokens at a time.
Steps run in a task of the caller's event loop, which lives while there is something to decode.

What holds for results. On the CPU in float32 they do not depend, to the last bit of the logits, on what else is in the
batch: rows are computed in numbers and lengths at which the matrix products treat each row alike (tests/bench/bench_engine.py
measures it on the machine at hand). A reused prefix may differ from a recomputed one in the last bit, since its keys and values
were computed one token at a time; so may everything in 16-bit types or on a GPU.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from s1lib.engines.checkpoint import cannot_load, open_checkpoint
from s1lib.engines.protocol import Completion, EngineError, Request
from s1lib.engines.row_cache import ATTENTION, RowCache
from s1lib.engines.row_pass import RowPass, traced
from s1lib.engines.schedule import PendingRequest, Row, Schedule
from s1lib.engines.stops import check_request, one_line

ROWS = 8  # rows are decoded in whole multiples of this
SHORT = 16  # this many tokens ahead or fewer are fed one a step, with the rows that decode; cheaper than a pass of their own
WIDTHS = (32, 64, 128, 256, 512)  # tokens per row of a prefill pass; a row's own length decides, so its neighbours do not matter
TRACE_AT = 64  # steps after which tracing (about half a second) pays
PASS = 1024  # tokens per prefill pass, at most; more no longer fit the processor's cache


class TorchEngine:
    """Implements `s1lib.engines.protocol.Engine`. See the module's text.

    model: a causal language model whose attention goes through transformers' attention interface; the engine replaces its
        attention function until `aclose`.
    vocab_size: ids from here on are padding of the embedding and are never produced: len(tokenizer).
    max_rows: sequences decoded at a time. max_context: tokens, prompt included; at most the model's own window.
    decoded_tokens: tokens sampled so far, stop sequences included.
    """

    def __init__(self, model: PreTrainedModel, *, vocab_size: int, max_rows: int, max_context: int, tokenizer: Any = None) -> None:
        config = model.config.get_text_config()
        self.max_context = min(max_context, getattr(config, "max_position_embeddings", None) or max_context)
        if max_rows < 1 or max_context < 2:
            raise EngineError(f"engine.max_rows ({max_rows}) must be at least 1 and engine.max_context ({max_context}) at least 2")
        _require_plain_attention(model, config, self.max_context)
        self.model, self.tokenizer = model.eval(), tokenizer
        self.vocab_size = min(vocab_size, config.vocab_size)
        self._device, self._dtype = model.device, model.dtype  # looked up once: the model walks its parameters for them
        self.name = f"torch-{str(self._dtype).removeprefix('torch.')}-{self._device.type}"
        self.decoded_tokens = 0
        self._attention = config._attn_implementation
        model.set_attn_implementation(ATTENTION)
        self._cache = RowCache(config, rows=max_rows, columns=self.max_context, dtype=self._dtype, device=self._device)
        self._pass = self._step = RowPass(model)
        self._steps = 0
        self._schedule = Schedule(max_rows, self._cache.copy)
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def from_pretrained(cls, path: str | Path, *, dtype: str, max_rows: int, max_context: int, device: str | None = None) -> TorchEngine:
        """The engine of a checkpoint: a local directory, or a hub id that may pin a revision (`owner/name@revision`).

        dtype: "float32", "bfloat16" or "float16". device: default is the GPU when there is one.
        Raises EngineError when the checkpoint is incomplete, damaged or has no tokenizer.
        """
        checkpoint = open_checkpoint(path)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            options = {"revision": checkpoint.revision, "dtype": dtype, "output_loading_info": True}
            model, report = AutoModelForCausalLM.from_pretrained(checkpoint.name, **options)
            model.to(device)
        except Exception as error:  # a damaged file can raise anything
            raise cannot_load(path, error) from error
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            raise EngineError(f"{path} lacks {len(missing)} of the model's weights, {missing[0]} among them: write it again")
        tokenizer = checkpoint.tokenizer
        return cls(model, vocab_size=len(tokenizer), max_rows=max_rows, max_context=max_context, tokenizer=tokenizer)

    # ---- requests ------------------------------------------------------------------------------------------------

    async def complete(self, request: Request) -> Completion:
        """See `Engine.complete`. A cancelled call frees its row; an error in the model is raised in every call under way."""
        embeddings = self.model.get_input_embeddings().num_embeddings
        stops, limit = check_request(request, embeddings=embeddings, max_context=self.max_context)
        if not self._cache.layers:
            raise EngineError("the engine has been closed: open another one")
        if limit == 0:
            return Completion([], "length")
        loop = asyncio.get_running_loop()
        pending = PendingRequest(list(request.prompt_ids), limit, stops, request.temperature, Random(request.seed), loop.create_future())
        self._schedule.add(pending)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())
        return await pending.future

    async def aclose(self) -> None:
        """Cancel pending requests, free the cache and give the model its own attention back."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        self._abandon(None)
        self._cache.layers = ()
        self.model.set_attn_implementation(self._attention)

    async def _run(self) -> None:
        """Decode until no request is left."""
        try:
            while self._schedule.busy():
                finished = self._advance()
                # Who got an answer may go on from it: a few turns of the loop let that request arrive before its row is given away.
                for _ in range(4 if finished else 1):
                    await asyncio.sleep(0)
        except Exception as error:
            hint = ": lower engine.max_rows or engine.max_context" if "memory" in str(error).lower() else ""
            failure = EngineError(f"decoding failed{hint} ({one_line(error)})")
            failure.__cause__ = error
            self._abandon(failure)
        except BaseException:  # the task is cancelled, or Ctrl-C
            self._abandon(None)
            raise

    def _abandon(self, failure: EngineError | None) -> None:
        """End every request, with an error or as cancelled, and forget what the rows held."""
        pending, self._schedule = self._schedule.pending(), Schedule(len(self._schedule.rows), self._cache.copy)
        for request in pending:
            if failure and not request.future.done():
                request.future.set_exception(failure)
            request.future.cancel()

    @torch.inference_mode()
    def _advance(self) -> bool:
        """Let requests in and decode one token of every row; True when a request was finished."""
        while self._schedule.admit():
            self._prefill()
        return bool(self._schedule.live()) and self._decode()

    # ---- passes through the model --------------------------------------------------------------------------------

    def _prefill(self) -> None:
        """Feed what live rows have ahead of their last known token, many tokens at a time."""
        while waiting := [row for row in self._schedule.live() if len(row.ids) - 1 - row.cached > SHORT]:
            widths = {row.index: next((width for width in WIDTHS if width >= len(row.ids) - 1 - row.cached), WIDTHS[-1]) for row in waiting}
            width = widths[waiting[0].index]
            group = [row for row in waiting if widths[row.index] == width][: max(1, PASS // width)]
            # A row with less to feed repeats its last token at that token's own place, which changes nothing.
            places = [[min(row.cached + i, len(row.ids) - 2) for i in range(width)] for row in group]
            tokens = [[row.ids[place] for place in line] for row, line in zip(group, places, strict=True)]
            self._forward(tokens, places, longest=1 + max(line[-1] for line in places), rows=[row.index for row in group])
            for row, line in zip(group, places, strict=True):
                row.cached = line[-1] + 1

    def _decode(self) -> bool:
        """Feed one token of every live row and sample where it was the last known one; True when a request was finished."""
        batch = self._pack()
        tokens = [[row.ids[row.cached] if row.request else 0] for row in batch]
        places = [[row.cached] for row in batch]  # of a row that is not live: behind all that it keeps
        logits = self._forward(tokens, places, longest=1 + max(row.cached for row in batch if row.request))
        sampling = [row for row in batch if row.request and row.cached == len(row.ids) - 1]
        chosen = self._choose(logits, sampling)
        for row in batch:
            row.cached += row.request is not None
        self.decoded_tokens += len(sampling)
        finished = [row for row in sampling if self._extend(row, chosen[row.index])]
        return bool(finished)

    def _pack(self) -> list[Row]:
        """The first rows, all live ones among them: a multiple of ROWS as long as that is enough."""
        rows = self._schedule.rows
        live = self._schedule.live()
        size = min(-(-len(live) // ROWS) * ROWS, len(rows))
        holes = [row for row in rows[:size] if row.request is None]
        for row, hole in zip([row for row in live if row.index >= size], holes, strict=False):
            self._cache.swap(row.index, hole.index, max(row.cached, hole.cached))
            rows[row.index], rows[hole.index] = hole, row
            row.index, hole.index = hole.index, row.index
        return rows[:size]

    def _forward(self, tokens: list[list[int]], places: list[list[int]], *, longest: int, rows: list[int] | None = None) -> torch.Tensor:
        """Logits [rows, vocab_size] behind the last of `tokens` [rows, tokens], which stand at `places` of the first rows, or of `rows`."""
        ids, positions = torch.tensor(tokens, device=self._device), torch.tensor(places, device=self._device)
        bias = self._cache.bias(positions, longest)
        if rows is not None:
            logits = self._pass(ids, positions, bias, self._cache.layers, torch.tensor(rows, device=self._device))
        else:
            self._steps += 1
            if self._steps == TRACE_AT:
                self._step = traced(self._pass, ids, positions, bias, self._cache.layers)
            logits = self._step(ids, positions, bias, self._cache.layers)
        return logits[:, : self.vocab_size].float()

    def _choose(self, logits: torch.Tensor, sampling: list[Row]) -> list[int]:
        """The next token of every row of `logits`; only those of `sampling` mean anything."""
        bans = [(row.index, token) for row in sampling if row.request.stops.min_tokens for token in row.request.stops.banned(row.ids)]
        if bans:
            logits[tuple(zip(*bans, strict=True))] = float("-inf")
        chosen = logits.argmax(-1)
        warm = [row for row in sampling if row.request.temperature > 0]
        if warm:
            # One uniform number per row and token, through the inverse of the cumulative distribution.
            at = [row.index for row in warm]
            options = {"dtype": torch.float64, "device": logits.device}
            temperature = torch.tensor([[row.request.temperature] for row in warm], **options)
            uniform = torch.tensor([[row.request.uniform.random()] for row in warm], **options)
            sums = torch.softmax(logits[at].double() / temperature, -1).cumsum(-1)
            chosen[at] = torch.searchsorted(sums, uniform * sums[:, -1:], right=True).squeeze(-1).clamp_(max=logits.shape[-1] - 1)
        return chosen.tolist()

    def _extend(self, row: Row, token: int) -> bool:
        """Append a sampled token; answers the request and frees the row when that ends it."""
        request = row.request
        row.ids.append(token)
        stop, sampled = request.stops.completed(row.ids), len(row.ids) - len(request.prompt)
        if not stop and sampled < request.limit:
            return False
        ids = row.ids[len(request.prompt) : len(row.ids) - len(stop or ())]
        result = Completion(ids, "stop" if stop else "length", stop)
        request.future.set_result(result)
        self._schedule.release(row)
        return True


def _require_plain_attention(model: PreTrainedModel, config: Any, max_context: int) -> None:
    """Refuse models that the row cache cannot serve."""
    kinds = set(getattr(config, "layer_types", None) or {"full_attention"})
    window = getattr(config, "sliding_window", None)
    if not model._supports_attention_backend or kinds - {"full_attention", "sliding_attention"}:
        raise EngineError(f"{type(model).__name__} does not use transformers' attention interface throughout: use another engine")
    if window and window < max_context and (kinds != {"full_attention"} or not getattr(config, "layer_types", None)):
        raise EngineError(f"{type(model).__name__} attends over a window of {window} tokens: lower engine.max_context to that")
