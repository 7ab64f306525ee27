"""The embedded engine: decoders of transformers on the CPU or one GPU, batched continuously.

    path = "outputs/toy/02_sft/models/s1"
    engine = TorchEngine.from_pretrained(path, dtype="float32", max_rows=64, max_context=512)
    request = Request(prompt_ids, max_tokens=256, stop=[(im_start,), (im_end,)])
    completion = await engine.complete(request)

`Schedule` gives requests rows of the key-value cache, `RowModel` passes the rows through the model,
`Sampler` chooses tokens. Every step feeds one token of each live row. On a GPU several steps are
taken before the host looks at what they sampled. Steps run in a task of the caller's event loop,
which lives while there is something to decode. One loop decodes at a time.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from s1lib.engines.checkpoint import cannot_load, open_checkpoint
from s1lib.engines.protocol import Completion, EngineError, Request, one_line
from s1lib.engines.row_model import RowModel, Sizes
from s1lib.engines.sampling import Sampler
from s1lib.engines.schedule import PendingRequest, Row, Schedule
from s1lib.engines.stops import check_request

DTYPES = ("float32", "bfloat16", "float16")


class TorchEngine:
    """Implements `s1lib.engines.protocol.Engine`.

    model: a causal language model whose attention goes through transformers' attention interface.
        The engine replaces its attention function until `aclose`.
    vocab_size: len(tokenizer). Ids from here on are padding of the embedding, never produced.
    max_rows: sequences decoded at a time.
    max_context: tokens, prompt included, at most the model's own window.
    sizes: of pages, passes and looks at the result. By default those that suit the model's device.
    decoded_tokens: tokens sampled so far, stop sequences included.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        vocab_size: int,
        max_rows: int,
        max_context: int,
        tokenizer: Any = None,
        sizes: Sizes | None = None,
    ) -> None:
        if max_rows < 1 or max_context < 2:
            raise EngineError(
                f"engine.max_rows ({max_rows}) must be at least 1 "
                f"and engine.max_context ({max_context}) at least 2"
            )

        # What the model cannot do: positions beyond its window, and ids that have no embedding.
        config = model.config.get_text_config()
        window = getattr(config, "max_position_embeddings", None)
        self.max_context = min(max_context, window or max_context)
        self.model, self.tokenizer = model, tokenizer
        self.vocab_size = min(vocab_size, config.vocab_size)
        self.name = f"torch-{str(model.dtype).removeprefix('torch.')}-{model.device.type}"
        self.decoded_tokens = 0

        self._row_model = RowModel(
            model,
            vocab_size=self.vocab_size,
            rows=max_rows,
            columns=self.max_context,
            sizes=sizes,
        )
        self._schedule = Schedule(max_rows, self._row_model.cache)
        self._task: asyncio.Task[None] | None = None
        self._starting = threading.Lock()  # two threads may ask at the same moment
        self._closed = False

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        dtype: str,
        max_rows: int,
        max_context: int,
        device: str | None = None,
    ) -> TorchEngine:
        """The engine of a checkpoint: a local directory, or a hub id that may pin a revision.

        dtype: "float32", "bfloat16" or "float16".
        device: the GPU by default when there is one.
        Raises EngineError when the checkpoint is incomplete, damaged or has no tokenizer, and as
        `RowModel` does.
        """
        if dtype not in DTYPES:
            raise EngineError(f"engine.dtype is {dtype!r}: set one of {', '.join(DTYPES)}")
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            torch.empty(0, device=device)
        except Exception as error:  # torch has several for a device that is not there
            raise EngineError(f"there is no device {device!r} here ({one_line(error)})") from error
        checkpoint = open_checkpoint(path)
        try:
            model, report = AutoModelForCausalLM.from_pretrained(
                checkpoint.name, revision=checkpoint.revision, dtype=dtype, output_loading_info=True
            )
            model.to(device)
        except Exception as error:  # a damaged file can raise anything
            raise cannot_load(path, error) from error

        # transformers fills in what is missing with random numbers and warns.
        if missing := sorted(report["missing_keys"]):
            raise EngineError(
                f"{path} lacks {len(missing)} of the model's weights, {missing[0]} among them: "
                "write it again"
            )
        return cls(
            model,
            vocab_size=len(checkpoint.tokenizer),
            max_rows=max_rows,
            max_context=max_context,
            tokenizer=checkpoint.tokenizer,
        )

    async def complete(self, request: Request) -> Completion:
        """See `Engine.complete`. A cancelled call frees its row.

        An error in the model is raised, as an EngineError, in every call under way.
        """
        embeddings = self.model.get_input_embeddings().num_embeddings
        stops, limit = check_request(request, embeddings=embeddings, max_context=self.max_context)
        if self._closed:
            raise EngineError("the engine has been closed: open another one")
        if limit == 0:
            return Completion([], "length")

        loop = asyncio.get_running_loop()
        pending = PendingRequest(
            prompt=list(request.prompt_ids),
            limit=limit,
            stops=stops,
            temperature=request.temperature,
            uniform=Random(request.seed),
            future=loop.create_future(),
        )
        # The task ends when nothing is left to decode, so that no loop is held open.
        with self._starting:
            under_way = self._task and not self._task.done()
            if under_way and self._task.get_loop() is not loop:
                raise EngineError("the engine decodes for another loop: open one for each loop")
            self._schedule.add(pending)
            if not under_way:
                self._task = loop.create_task(self._run())
        return await pending.future

    async def aclose(self) -> None:
        """Cancel pending requests, free the cache and give the model its own attention back."""
        self._closed = True
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        self._abandon(None)
        self._row_model.close()

    async def _run(self) -> None:
        """Decode until no request is left."""
        try:
            while self._schedule.busy():
                finished = self._advance()
                # Who got an answer may go on from it: a few turns of the loop let that request
                # arrive before its row is given away.
                for _ in range(4 if finished else 1):
                    await asyncio.sleep(0)
        except Exception as error:
            short = "memory" in str(error).lower()
            hint = ": lower engine.max_rows or engine.max_context" if short else ""
            failure = EngineError(f"decoding failed{hint} ({one_line(error)})")
            failure.__cause__ = error
            self._abandon(failure)
        except BaseException:  # the task is cancelled, or Ctrl-C
            self._abandon(None)
            raise

    def _abandon(self, failure: EngineError | None) -> None:
        """End every request, with an error or as cancelled, and forget what the rows held."""
        pending = self._schedule.pending()
        self._schedule = Schedule(len(self._schedule.rows), self._row_model.cache)
        for request in pending:
            if failure and not request.future.done():
                request.future.set_exception(failure)
            request.future.cancel()

    @torch.inference_mode()
    def _advance(self) -> bool:
        """Let requests in and decode, see `_decode`."""
        while self._schedule.admit():
            self._row_model.prefill(self._schedule.live())
        return bool(self._schedule.live()) and self._decode()

    def _decode(self) -> bool:
        """Feed a token of every live row and sample behind the last known ones, a few times.

        Returns whether a request was finished.
        """
        rows = self._schedule.pack()
        live = [row for row in rows if row.request]
        # Bans depend on the tokens before them, which only the host compares with stop sequences.
        settled = all(row.request.stops.settled(row.ids) for row in live)
        count = self._row_model.sizes.ahead if settled else 1

        steps, sampler = self._row_model.steps, Sampler(rows, count, self._row_model.device)
        steps.load(rows, count)
        chosen: list[torch.Tensor] = []
        for number in range(count):
            logits = steps.logits(number, chosen[-1] if chosen else None)
            chosen.append(sampler.choose(logits, number))

        # Here the host waits for the device.
        tokens = torch.stack(chosen, 1).tolist()
        finished = [row for row in live if self._take(row, tokens[row.index])]
        return bool(finished)

    def _take(self, row: Row, tokens: list[int]) -> bool:
        """Note that a row was fed, and sampled what its request did not know. See `_extend`."""
        for token in tokens:
            known = row.ahead > 0
            row.cached += 1
            if not known and self._extend(row, token):
                return True
        return False

    def _extend(self, row: Row, token: int) -> bool:
        """Append a sampled token. Answers the request and frees the row when that ends it."""
        request = row.request
        row.ids.append(token)
        self.decoded_tokens += 1
        stop, sampled = request.stops.completed(row.ids), len(row.ids) - len(request.prompt)
        if not stop and sampled < request.limit:
            return False

        ids = row.ids[len(request.prompt) : len(row.ids) - len(stop or ())]
        request.future.set_result(Completion(ids, "stop" if stop else "length", stop))
        self._schedule.release(row)
        return True
