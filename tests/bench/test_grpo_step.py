"""The inputs of the step benchmark have the lengths that they are said to have, on the real engine and the real data
path.
"""
import asyncio

import numpy as np
import pytest

from bench.grpo_step.inputs import CASES, END, PROMPT_TOKENS, make_inputs
from bench.grpo_step.ours import config_of
from tests.support.engines import complete
from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.trainer.ppo.inputs import RunInputs
from verl.workers.rollout.base import Request, Sampling
from verl.workers.rollout.hf import HFEngine

SETTINGS = {"prompts": 16, "n": 4, "prompt_tokens": PROMPT_TOKENS, "lr": 1e-6, "dtype": "float32", "engine": "hf"}


def lengths_of(folder, case):
    """Of 64 answers."""
    inputs = RunInputs(config_of(SETTINGS | {"folder": str(folder), "max_tokens": case.max_tokens}))
    assert inputs.stop_ids() == (END,)
    prompts = inputs.train_set.prompt_ids[:16]
    assert {len(ids) for ids in prompts} == {PROMPT_TOKENS}
    engine = HFEngine(ModelConfig(path=str(folder / "model")), RolloutConfig(name="hf", dtype="float32"), "cpu")
    asyncio.run(engine.start())
    sampling = Sampling(1.0, case.max_tokens, stop_ids=(END,))
    requests = [Request(f"{i}", prompts[i % 16], sampling, seed=i) for i in range(64)]
    return np.array([len(c.token_ids) for c in complete(engine, requests).values()])


@pytest.mark.parametrize("name", CASES)
def test_answers_have_the_lengths_of_their_case(name, tmp_path):
    case = CASES[name]
    make_inputs(tmp_path, case)
    lengths = lengths_of(tmp_path, case)
    if name == "near-equal":
        assert (lengths == case.max_tokens).mean() > 0.6 and lengths.mean() > 0.75 * case.max_tokens
    else:
        assert np.median(lengths) < case.max_tokens / 10 and lengths.max() == case.max_tokens
        assert (lengths == case.max_tokens).mean() < 0.2
