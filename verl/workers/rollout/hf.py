"""Plain transformers as rollout engine: needs nothing installed beside torch, and repeats to the last bit.

The rows of one `generate` call are one batch in the given order, and each row draws from its own seeded stream, so a
result depends on the requests and the weights alone. A prompt that several rows share is read once, and rows that have
ended leave the batch.
"""
import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils.logging import disable_progress_bar

from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.utils.dtypes import to_dtype
from verl.workers.rollout.base import Completion, Request, RolloutEngine
from verl.workers.rollout.decode_cache import DECODE_ATTENTION, roomy_cache
from verl.workers.rollout.sampler import choose, processed_log_probs, uniforms

FULL_ENOUGH = 0.8  # share of a batch's rows that must be alive; below it the rest leaves, which copies the cache


@dataclass
class Context:
    """What the next token of each row follows from: `logits` [rows, vocab], `mask` [rows, seen], `position` [rows, 1]
    of the last token seen.
    """
    logits: Tensor
    mask: Tensor
    position: Tensor
    cache: DynamicCache

    def select(self, rows: Tensor) -> None:
        """Keeps these rows, or repeats them."""
        self.logits, self.mask, self.position = self.logits[rows], self.mask[rows], self.position[rows]
        self.cache.batch_select_indices(rows)


class HFEngine(RolloutEngine):
    """One model on one device; a batch decodes step by step with a KV cache until its last row has ended."""

    def __init__(self, model: ModelConfig, config: RolloutConfig, device: str):
        self.model_config, self.device = model, torch.device(device)
        self.dtype = to_dtype(config.dtype, self.device.type)
        self.lock = asyncio.Lock()
        self.steps = 0  # layers run so far, all batches together

    async def start(self) -> None:
        disable_progress_bar()
        self.model = AutoModelForCausalLM.from_pretrained(self.model_config.path,
                                                          dtype=self.dtype,
                                                          attn_implementation=DECODE_ATTENTION,
                                                          trust_remote_code=self.model_config.trust_remote_code)
        self.model.to(self.device).eval()
        for module in self.model.modules():  # a long prompt is progress, too
            if isinstance(module, GradientCheckpointingLayer):
                module.register_forward_hook(self._count)

    def _count(self, *unused: object) -> None:
        self.steps += 1

    async def generate(self, requests: list[Request]) -> AsyncIterator[list[Completion]]:
        by_sampling: dict[object, list[Request]] = {}
        for request in requests:
            by_sampling.setdefault(request.sampling, []).append(request)
        for batch in by_sampling.values():
            arrived: asyncio.Queue[list[Completion] | None] = asyncio.Queue()
            work = asyncio.create_task(self._work(batch, arrived))  # goes on whether or not the caller asks for more
            try:
                while completions := await arrived.get():
                    yield completions
                await asyncio.gather(work)  # raises what ended it
            finally:
                work.cancel()

    async def _work(self, batch: list[Request], arrived: asyncio.Queue[list[Completion] | None]) -> None:
        """Puts the completions of `batch`, then None."""
        try:
            async with self.lock:
                decoding = self._decode(batch)
                while completions := await asyncio.to_thread(next, decoding, None):
                    arrived.put_nowait(completions)
        finally:
            arrived.put_nowait(None)

    async def update_weights(self, version: int, directory: str) -> None:
        async with self.lock:
            await asyncio.to_thread(self._load, directory)
            self.version = version

    async def health(self) -> int:
        return self.steps

    async def sleep(self) -> None:
        """Keeps its weights: a model this engine serves fits beside the trainer."""

    async def wake(self, tag: str) -> None:
        """Nothing was freed."""

    async def close(self) -> None:
        """There are no processes to end."""

    def _load(self, directory: str) -> None:
        state = {}
        for file in sorted(Path(directory).glob("*.safetensors")):
            state |= load_file(file, device=str(self.device))
        missing, unexpected = self.model.load_state_dict(state, strict=False)
        tied = set(getattr(self.model, "all_tied_weights_keys", None) or ())
        assert not unexpected and set(missing) <= tied, f"weights of {directory} do not fit: {missing}, {unexpected}"

    @torch.inference_mode()
    def _decode(self, requests: list[Request]) -> Iterator[list[Completion]]:
        """Completions as their rows leave the batch."""
        sampling = requests[0].sampling
        draws = uniforms([r.seed for r in requests], sampling.max_new_tokens).to(self.device)
        stop = torch.tensor(sampling.stop_ids, dtype=torch.int64, device=self.device)
        tokens = torch.zeros(draws.shape, dtype=torch.int32, device=self.device)
        scores = torch.zeros(draws.shape, device=self.device)
        lengths = torch.zeros(len(requests), dtype=torch.int64, device=self.device)
        context, rows = self._read(requests), torch.arange(len(requests), device=self.device)
        alive = torch.ones_like(rows, dtype=torch.bool)
        for n in range(sampling.max_new_tokens):
            log_probs = processed_log_probs(context.logits, sampling, n)
            chosen = choose(log_probs, draws[rows, n], greedy=sampling.temperature == 0)
            tokens[rows, n] = chosen.int()
            scores[rows, n] = log_probs.gather(-1, chosen[:, None])[:, 0]
            lengths[rows] += alive
            alive = alive & ~torch.isin(chosen, stop)
            left, last = int(alive.sum()), n + 1 == sampling.max_new_tokens
            if last or left < FULL_ENOUGH * len(rows):
                leaving = torch.ones_like(alive) if last else ~alive
                yield self._completions(requests, rows[leaving], alive[leaving], tokens, scores, lengths)
                if last or not left:
                    return
                context.select(alive.nonzero()[:, 0])
                rows, chosen, alive = rows[alive], chosen[alive], alive[alive]
            self._advance(context, chosen)

    def _read(self, requests: list[Request]) -> Context:
        """Each different prompt once, then a row per request."""
        prompts = {r.prompt_ids.tobytes(): r.prompt_ids for r in requests}
        place = {prompt: row for row, prompt in enumerate(prompts)}
        width = max(map(len, prompts.values()))
        ids = torch.zeros(len(prompts), width, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts.values()):
            ids[row, width - len(prompt):] = torch.tensor(prompt)
            mask[row, width - len(prompt):] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        position, cache = mask.cumsum(-1).sub_(1).clamp_(min=0), roomy_cache(self.model.config)
        out = self.model(ids, mask, position, cache, logits_to_keep=1)
        context = Context(out.logits[:, -1], mask, position[:, -1:], cache)
        context.select(torch.tensor([place[r.prompt_ids.tobytes()] for r in requests], device=self.device))
        return context

    def _advance(self, context: Context, chosen: Tensor) -> None:
        context.position = context.position + 1
        context.mask = torch.cat([context.mask, context.mask.new_ones(len(chosen), 1)], dim=-1)
        out = self.model(chosen[:, None], context.mask, context.position, context.cache, logits_to_keep=1)
        context.logits = out.logits[:, -1]

    def _completions(self, requests: list[Request], rows: Tensor, unfinished: Tensor, tokens: Tensor, scores: Tensor,
                     lengths: Tensor) -> list[Completion]:
        rows, unfinished, lengths = rows.tolist(), unfinished.tolist(), lengths.tolist()
        return [
            Completion(requests[row].request_id, tokens[row, :lengths[row]].cpu().numpy().copy(),
                       scores[row, :lengths[row]].cpu().numpy().copy(), "length" if more else "stop",
                       ((self.version, lengths[row]),)) for row, more in zip(rows, unfinished, strict=True)
        ]
