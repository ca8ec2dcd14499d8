"""vLLM's AsyncLLM as rollout engine, on CUDA and (community build) on the CPU."""
import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.utils.dtypes import to_dtype
from verl.workers.rollout.base import Completion, Request, RolloutEngine, Sampling, version_spans
from verl.workers.rollout.vllm_errors import ErrorLog

os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # the trainer shares the cores
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
ERRORS = ErrorLog()

from vllm import SamplingParams, TokensPrompt  # noqa: E402
from vllm.config import WeightTransferConfig  # noqa: E402
from vllm.distributed.weight_transfer.base import WeightTransferInitRequest, WeightTransferUpdateRequest  # noqa: E402
from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: E402
from vllm.exceptions import VLLMValidationError  # noqa: E402
from vllm.sampling_params import RequestOutputKind  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402
from vllm.v1.executor.uniproc_executor import UniProcExecutor  # noqa: E402


class VLLMEngine(RolloutEngine):
    """One AsyncLLM over `tensor_model_parallel_size` devices. Ids in, ids out: vLLM never sees the tokenizer."""

    def __init__(self, model: ModelConfig, config: RolloutConfig, device: str, max_model_len: int):
        self.on_gpu = device == "cuda"
        self.can_sleep = self.on_gpu and config.free_cache_engine
        self.config = config
        self.args = AsyncEngineArgs(**self._arguments(model, config, max_model_len))
        self.earlier: dict[str, list[tuple[int, int]]] = {}  # request -> (version, tokens so far) at its updates
        self.engine: AsyncLLM | None = None
        self.finished_tokens = 0

    def _arguments(self, model: ModelConfig, config: RolloutConfig, max_model_len: int) -> dict[str, Any]:
        arguments = {
            "model": model.path,
            "skip_tokenizer_init": True,
            "trust_remote_code": model.trust_remote_code,
            "dtype": str(to_dtype(config.dtype, "cuda" if self.on_gpu else "cpu")).removeprefix("torch."),
            "seed": config.seed % 2**31,
            "max_model_len": config.max_model_len or max_model_len,
            "max_num_seqs": config.max_num_seqs,
            "max_num_batched_tokens": max(config.max_num_batched_tokens, max_model_len),
            # A seeded request whose prompt is split rewinds its generator, which CPU generators cannot do.
            "enable_chunked_prefill": config.enable_chunked_prefill and self.on_gpu,
            "enable_prefix_caching": config.enable_prefix_caching,
            "enforce_eager": not self.on_gpu if config.enforce_eager is None else config.enforce_eager,
            "logprobs_mode": "processed_logprobs",  # of the distribution that was sampled from
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            "hf_overrides": dict(model.override_config),
        }
        if self.on_gpu:
            arguments["gpu_memory_utilization"] = config.gpu_memory_utilization
            arguments["tensor_parallel_size"] = config.tensor_model_parallel_size
            arguments["enable_sleep_mode"] = self.can_sleep
            if config.transport == "ipc":
                os.environ["VLLM_ALLOW_INSECURE_SERIALIZATION"] = "1"  # the handles come from our own training workers
                arguments["weight_transfer_config"] = WeightTransferConfig(backend="ipc")
        else:  # one process less than vLLM's own choice for CPUs, and none that spins while the trainer computes
            arguments["distributed_executor_backend"] = UniProcExecutor
            # The sampler for CPUs in float32 forgets every seed of a batch that has one greedy request in it.
            arguments["use_fp64_gumbel"] = True
        return arguments | config.engine_kwargs.get("vllm", {})

    async def start(self) -> None:
        try:
            self.engine = AsyncLLM.from_engine_args(self.args)
        except RuntimeError as error:  # of the engine's process, whose own error is in the log
            raise RuntimeError(f"{ERRORS.last() or error} (vLLM's engine did not start)") from error

    async def generate(self, requests: list[Request]) -> AsyncIterator[list[Completion]]:
        pending = {asyncio.create_task(self._one(request)) for request in requests}
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                yield [task.result() for task in done]
        finally:
            for task in pending:
                task.cancel()

    async def _one(self, request: Request) -> Completion:
        prompt = TokensPrompt(prompt_token_ids=request.prompt_ids.tolist())
        params = _sampling_params(request.sampling, request.seed)
        self.earlier[request.request_id] = []
        try:
            async for output in self.engine.generate(prompt, params, request.request_id):
                final = output.outputs[0]
        except VLLMValidationError as error:
            raise ValueError(f"vLLM refuses request {request.request_id}: {error}") from None
        finally:
            earlier = self.earlier.pop(request.request_id)
        token_ids = np.asarray(final.token_ids, np.int32)
        self.finished_tokens += len(token_ids)
        log_probs = np.array([entry[t].logprob for entry, t in zip(final.logprobs, final.token_ids, strict=True)],
                             np.float32)
        return Completion(request.request_id, token_ids, log_probs, final.finish_reason,
                          version_spans([*earlier, (self.version, len(token_ids))]))

    async def update_weights(self, version: int, directory: str) -> None:
        await self._pause()
        try:
            await self.engine.collective_rpc("reload_weights", kwargs={"weights_path": directory})
            self.version = version
        finally:
            await self.engine.resume_generation()

    async def _pause(self) -> None:
        """Stops generation between two tokens, and counts for each request in flight what it has so far."""
        await self.engine.pause_generation(mode="keep")
        for state in self.engine.output_processor.request_states.values():
            self.earlier[state.external_req_id].append((self.version, state.detokenizer.num_output_tokens()))

    async def transfer(self, step: str, info: dict[str, Any]) -> None:
        """One call of vLLM's weight-transfer protocol (see vllm_transfer.py); generation waits from start to finish."""
        if step == "init":
            await self.engine.init_weight_transfer_engine(WeightTransferInitRequest(init_info=info))
        elif step == "start":
            await self._pause()
            await self.engine.start_weight_update()
        elif step == "update":
            await self.engine.update_weights(WeightTransferUpdateRequest(update_info=info))
        else:
            await self.engine.finish_weight_update()
            await self.engine.resume_generation()

    async def health(self) -> int:
        await self.engine.check_health()
        states = self.engine.output_processor.request_states.values()
        return self.finished_tokens + sum(state.detokenizer.num_output_tokens() for state in states)

    async def sleep(self) -> None:
        if self.can_sleep:
            await self.engine.sleep(level=2)  # weights come anew with the next version, so nothing is kept

    async def wake(self, tag: str) -> None:
        if self.can_sleep:
            await self.engine.wake_up(tags=[tag])

    async def close(self) -> None:
        if self.engine is not None:
            self.engine.shutdown()


def _sampling_params(sampling: Sampling, seed: int) -> SamplingParams:
    return SamplingParams(
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        max_tokens=sampling.max_new_tokens,
        min_tokens=sampling.min_new_tokens,
        stop_token_ids=list(sampling.stop_ids),
        ignore_eos=True,  # `stop_ids` says it all
        seed=seed if sampling.temperature > 0 else None,
        logprobs=0,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY)  # yapf: disable
