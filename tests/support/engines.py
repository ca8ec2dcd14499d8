"""Runs a rollout engine's requests to the end."""
import asyncio

import numpy as np
import torch
from transformers import PreTrainedModel

from verl.workers.rollout.base import Completion, Request, RolloutEngine, Sampling


def make_requests(prompts, sampling: Sampling, first_seed: int = 0) -> list[Request]:
    """One request per prompt (sequences of token ids), named by its place and seeded by it."""
    return [
        Request(f"r{i}", np.asarray(ids, np.int32), sampling, first_seed + i) for i, ids in enumerate(prompts)
    ]  # yapf: disable


def complete(engine: RolloutEngine, requests: list[Request]) -> dict[str, Completion]:
    """Completions by request id; each must come once."""

    async def collect() -> list[Completion]:
        return [completion async for batch in engine.generate(requests) for completion in batch]

    completions = asyncio.run(collect())
    assert len(completions) == len(requests)
    return {c.request_id: c for c in completions}


def generated_greedily(model: PreTrainedModel, request: Request) -> list[int]:
    """What transformers' own `generate` answers, without stop ids."""
    model.generation_config.eos_token_id = None
    ids = torch.tensor(request.prompt_ids[None], dtype=torch.int64)
    count = request.sampling.max_new_tokens
    out = model.generate(ids,
                         attention_mask=torch.ones_like(ids),
                         do_sample=False,
                         max_new_tokens=count,
                         pad_token_id=0)
    return out[0, ids.shape[1]:].tolist()


@torch.no_grad()
def recomputed_log_probs(model: PreTrainedModel, request: Request, completion: Completion) -> np.ndarray:
    """log p of the completion's tokens by one unpadded forward pass, under the request's temperature alone."""
    ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]], dtype=torch.int64)
    logits = model.eval()(input_ids=ids).logits[0, len(request.prompt_ids) - 1:-1].double()
    lines = (logits / (request.sampling.temperature or 1.0)).log_softmax(-1)
    return lines.gather(-1, ids[0, len(request.prompt_ids):, None])[:, 0].numpy()
