"""Answers from our own rollout engine in this process: hf on bare CPUs, vLLM where it is installed."""

import asyncio
from collections.abc import Sequence

import numpy as np
import torch

from data_analysis.answers import Write
from data_analysis.batch import CHAT, Task, make_answer, make_refusal
from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.utils.dataset.chat import render_prompt
from verl.utils.hub import load_hf_config, local_folder, stop_token_ids
from verl.utils.tokenizer import load_tokenizer, tokenize
from verl.workers.rollout.base import Request, RolloutEngine, Sampling, sample_seed
from verl.workers.rollout.replica import build_engine, engine_name


class LocalEngine:
    """One replica on this machine.

    Args:
        path: model folder or hub id.
        name: auto, vllm or hf.
        batch_size: hf: sequences per forward; vllm: sequences in flight.
        width: devices that share the model.
    """

    def __init__(self, path: str, seed: int, name: str = "auto", batch_size: int = 64, width: int = 1,
                 trust_remote_code: bool = False) -> None:  # yapf: disable
        self._path, self._seed = str(local_folder(path)), seed
        self._model = ModelConfig(path=self._path, trust_remote_code=trust_remote_code)
        name = engine_name(RolloutConfig(name=name))
        self._config = RolloutConfig(name=name, batch_size=batch_size, max_num_seqs=batch_size,
                                     gpu_memory_utilization=0.9, free_cache_engine=False,
                                     tensor_model_parallel_size=width)  # yapf: disable
        self._tokenizer = load_tokenizer(path, trust_remote_code)
        self._stop_ids = stop_token_ids(self._tokenizer, self._path)
        config = load_hf_config(self._path, trust_remote_code).get_text_config()
        self._context = getattr(config, "max_position_embeddings", None) or 1 << 20
        self._runner = asyncio.Runner()  # one event loop for all splits: vLLM's engine belongs to it
        self._engine: RolloutEngine | None = None

    def answer(self, tasks: Sequence[Task], write: Write) -> None:
        """Prompts that fill the model's context are refused, as a server would."""
        try:
            self._runner.run(self._answer(tasks, write))
        except ExceptionGroup as group:  # of the units that failed together; the first says enough
            raise group.exceptions[0] from group

    def close(self) -> None:
        """Ends the engine's processes, where it has any."""
        if self._engine is not None:
            self._runner.run(self._engine.close())
        self._runner.close()

    async def _answer(self, tasks: Sequence[Task], write: Write) -> None:
        engine = await self._started()
        slots = asyncio.Semaphore(1 if self._config.name == "hf" else 2)
        size = self._config.batch_size
        units = [list(tasks[start:start + size]) for start in range(0, len(tasks), size)]

        async def run(unit: list[Task]) -> None:
            async with slots:
                by_id = {f"{task.custom_id}/{task.sample}": task for task in unit}
                requests = self._requests(by_id, write)
                async for completions in engine.generate(requests) if requests else _nothing():
                    for done in completions:
                        write(make_answer(by_id[done.request_id], self._text(done.token_ids), done.finish_reason,
                                          len(done.token_ids)))  # yapf: disable

        async with asyncio.TaskGroup() as group:
            for unit in units:
                group.create_task(run(unit))

    async def _started(self) -> RolloutEngine:
        if self._engine is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._engine = build_engine(self._model, self._config, device, self._context)
            await self._engine.start()
        return self._engine

    def _requests(self, by_id: dict[str, Task], write: Write) -> list[Request]:
        rendered = {}
        for task in by_id.values():  # the answers to one prompt share its ids
            if task.custom_id not in rendered:
                rendered[task.custom_id] = tokenize(self._tokenizer, [self._prompt(task)])[0]
        requests = []
        for name, task in by_id.items():
            ids = rendered[task.custom_id]
            room = self._context - len(ids)
            if room < 1:
                write(make_refusal(task, 400, f"its {len(ids)} tokens fill the model's context of {self._context}"))
                continue
            seed = sample_seed(self._seed, 0, task.custom_id, task.sample)
            requests.append(Request(name, ids, self._sampling(task.body, room), seed))
        return requests

    def _prompt(self, task: Task) -> str:
        if task.url != CHAT:
            return task.body["prompt"]
        return render_prompt(self._tokenizer, {"prompt": task.body["messages"]}, "prompt", {})

    def _sampling(self, body: dict, room: int) -> Sampling:
        return Sampling(temperature=body.get("temperature", 1.0),
                        max_new_tokens=min(room, body.get("max_tokens", room)),
                        top_p=body.get("top_p", 1.0),
                        stop_ids=self._stop_ids)

    def _text(self, ids: np.ndarray) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)


async def _nothing():  # noqa: ANN202 -- an empty async generator
    return
    yield
