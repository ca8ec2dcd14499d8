"""Plain transformers as rollout engine: needs nothing installed beside torch, and repeats to the last bit.

The rows of one `generate` call are one batch in the given order, and each row draws from its own seeded stream, so a
result depends on the requests and the weights alone.
"""
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils.logging import disable_progress_bar

from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.utils.dtypes import to_dtype
from verl.workers.rollout.base import Completion, Request, RolloutEngine
from verl.workers.rollout.sampler import choose, processed_log_probs, uniforms


class HFEngine(RolloutEngine):
    """One model on one device; a batch decodes step by step with a KV cache until its last row has ended."""

    def __init__(self, model: ModelConfig, config: RolloutConfig, device: str):
        self.model_config, self.device = model, torch.device(device)
        self.dtype = to_dtype(config.dtype, self.device.type)
        self.lock = asyncio.Lock()
        self.steps = 0  # decoded so far, all batches together

    async def start(self) -> None:
        disable_progress_bar()
        self.model = AutoModelForCausalLM.from_pretrained(self.model_config.path,
                                                          dtype=self.dtype,
                                                          trust_remote_code=self.model_config.trust_remote_code)
        self.model.to(self.device).eval()

    async def generate(self, requests: list[Request]) -> AsyncIterator[list[Completion]]:
        by_sampling: dict[object, list[Request]] = {}
        for request in requests:
            by_sampling.setdefault(request.sampling, []).append(request)
        for batch in by_sampling.values():
            async with self.lock:
                completions = await asyncio.to_thread(self._generate, batch)
            yield completions

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
    def _generate(self, requests: list[Request]) -> list[Completion]:
        sampling = requests[0].sampling
        ids, mask = self._left_padded(requests)
        draws = uniforms([r.seed for r in requests], sampling.max_new_tokens)
        stop = torch.tensor(sampling.stop_ids, dtype=torch.int64, device=self.device)
        alive = torch.ones(len(requests), dtype=torch.bool, device=self.device)
        cache = DynamicCache(config=self.model.config)
        position = mask.cumsum(-1).sub_(1).clamp_(min=0)
        tokens, scores, lives = [], [], []
        for n in range(sampling.max_new_tokens):
            out = self.model(input_ids=ids,
                             attention_mask=mask,
                             position_ids=position,
                             past_key_values=cache,
                             logits_to_keep=1)
            self.steps += 1
            log_probs = processed_log_probs(out.logits[:, -1], sampling, n)
            chosen = choose(log_probs, draws[:, n], greedy=sampling.temperature == 0)
            tokens.append(chosen)
            scores.append(log_probs.gather(-1, chosen[:, None])[:, 0])
            lives.append(alive)
            alive = alive & ~torch.isin(chosen, stop)
            if not alive.any():
                break
            ids, position = chosen[:, None], position[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(requests), 1)], dim=-1)
        return self._completions(requests, torch.stack(tokens, 1), torch.stack(scores, 1), torch.stack(lives, 1), alive)

    def _left_padded(self, requests: list[Request]) -> tuple[Tensor, Tensor]:
        """ids and mask, both int64 [rows, longest prompt]."""
        width = max(len(r.prompt_ids) for r in requests)
        ids = torch.zeros(len(requests), width, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(requests):
            ids[row, width - len(request.prompt_ids):] = torch.tensor(request.prompt_ids)
            mask[row, width - len(request.prompt_ids):] = 1
        return ids.to(self.device), mask.to(self.device)

    def _completions(self, requests: list[Request], tokens: Tensor, scores: Tensor, lives: Tensor,
                     alive: Tensor) -> list[Completion]:
        tokens, scores = tokens.int().cpu().numpy(), scores.cpu().numpy()
        lengths, unfinished = lives.sum(1).tolist(), alive.tolist()
        return [
            Completion(r.request_id, tokens[i, :n].copy(), scores[i, :n].copy(), "length" if unfinished[i] else "stop",
                       ((self.version, n),)) for i, (r, n) in enumerate(zip(requests, lengths, strict=True))
        ]
