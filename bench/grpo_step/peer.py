"""TRL's side: a GRPOTrainer that does one step for each line on standard input. Runs in TRL's own environment."""
import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from score import distinct
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

settings: dict[str, Any] = json.loads(sys.argv[1])


def score(completions: list[str], completion_ids: list[list[int]], **unused: object) -> list[float]:
    """The form in which TRL calls it."""
    lengths.extend(len(ids) for ids in completion_ids)
    return [distinct(text) for text in completions]


class OneStepPerLine(TrainerCallback):
    """Says what a step took, then waits for the word to go on."""

    def on_train_begin(self, *unused: object, **kwargs: object) -> None:
        self._wait()

    def on_step_end(self, *unused: object, **kwargs: object) -> None:
        seconds = time.perf_counter() - self.began
        say({"seconds": seconds, "tokens": sum(lengths), "longest": max(lengths)})
        self._wait()

    def _wait(self) -> None:
        lengths.clear()
        if not sys.stdin.readline():
            sys.exit(0)
        self.began = time.perf_counter()


def say(message: dict[str, Any]) -> None:
    """One line to the other end; anything else that is printed goes to standard error."""
    print(json.dumps(message), file=answers, flush=True)


def patch_vllm(weights: Path) -> None:
    """Two things without which TRL's colocated vLLM does not do the same work on a CPU: it would generate in bfloat16,
    and vLLM's packed CPU weights take no single tensors, only a whole reload.
    """
    from trl.generation import vllm_generation

    def sync_weights(self: vllm_generation.VLLMGeneration) -> None:
        self.model.save_pretrained(weights)
        self.llm.collective_rpc("reload_weights", kwargs={"weights_path": str(weights)})
        self.llm.reset_prefix_cache()

    vllm_generation.LLM = functools.partial(vllm_generation.LLM, dtype=settings["dtype"])
    vllm_generation.VLLMGeneration.sync_weights = sync_weights


def main() -> None:
    """Trains until standard input ends."""
    folder, rows = Path(settings["folder"]), settings["prompts"] * settings["n"]
    if settings["vllm"]:
        patch_vllm(folder / "trl_weights")
    config = GRPOConfig(output_dir=str(folder / "trl"),
                        use_cpu=True,
                        bf16=settings["dtype"] == "bfloat16",
                        per_device_train_batch_size=settings["micro_batch"],
                        gradient_accumulation_steps=rows // settings["micro_batch"],
                        num_generations=settings["n"],
                        max_completion_length=settings["max_tokens"],
                        temperature=1.0,
                        learning_rate=settings["lr"],
                        lr_scheduler_type="constant",
                        beta=0.0,
                        gradient_checkpointing=False,
                        use_vllm=settings["vllm"],
                        vllm_mode="colocate",
                        vllm_max_model_length=settings["prompt_tokens"] + settings["max_tokens"],
                        vllm_importance_sampling_correction=False,
                        max_steps=10_000,
                        save_strategy="no",
                        logging_steps=1,
                        disable_tqdm=True,
                        report_to=[])
    trainer = GRPOTrainer(model=str(folder / "model"),
                          reward_funcs=score,
                          args=config,
                          train_dataset=load_dataset("json", data_files=str(folder / "prompts.jsonl"), split="train"),
                          processing_class=PreTrainedTokenizerFast.from_pretrained(folder / "model"),
                          callbacks=[OneStepPerLine()])
    trainer.train()


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr
    lengths: list[int] = []
    torch.set_num_threads(settings["threads"])
    main()
