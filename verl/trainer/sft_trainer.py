"""Supervised fine-tuning on the same workers and engine as main_ppo: one loss, one optimizer step per batch."""
import dataclasses
import logging
import math
import time
from pathlib import Path

import numpy as np

from verl.config.sft import SFTConfig
from verl.config.show import dump, to_dict
from verl.protocol import DataProto
from verl.single_controller import ResourcePool
from verl.trainer.checkpoint import CheckpointManager, load_model, save_model
from verl.trainer.cluster import load_models, start_trainer
from verl.trainer.entry import check_outputs, check_vocabulary, due
from verl.trainer.memory import memory_metrics
from verl.utils.console import duration
from verl.utils.dataset.prompt_source import PromptSource
from verl.utils.dataset.sft_dataset import SFTDataset
from verl.utils.hub import load_hf_config
from verl.utils.ragged import Ragged
from verl.utils.tokenizer import load_tokenizer
from verl.utils.tracking import Tracking
from verl.workers.engine.base import MicroBatchBounds

logger = logging.getLogger(__name__)


class SFTTrainer:
    """Reads and checks the data when made; `start` brings up the workers, `fit` runs the steps."""

    def __init__(self, config: SFTConfig, device: str):
        self.config, self.device = config, device
        check_outputs(config.trainer)
        data, model = config.data, config.model
        self.tokenizer = load_tokenizer(model.tokenizer_path or model.path, model.trust_remote_code)
        check_vocabulary(self.tokenizer, load_hf_config(model.path, model.trust_remote_code), model.path)
        train_set = SFTDataset(data.train_files, self.tokenizer, data, data.train_max_samples)
        self.rows = to_batch(train_set)
        self.val_rows = self._validation_rows() if data.val_files else None
        self.source = PromptSource(len(train_set), data.train_batch_size, data.shuffle, data.seed or 0,
                                   train_set.fingerprint)
        per_epoch = self.source.steps_per_epoch
        self.total_steps = config.trainer.total_training_steps or per_epoch * config.trainer.total_epochs
        self.bounds = MicroBatchBounds(*((data.max_token_len_per_gpu,
                                          None) if data.use_dynamic_bsz else (None, data.micro_batch_size_per_gpu)))
        self.checkpoints = CheckpointManager(config.trainer)
        self.step = 0
        self.phase = "load"  # what is being done, for messages
        self.resume_from = self.checkpoints.find()
        if self.resume_from is not None:
            state = self.checkpoints.read_state(self.resume_from)
            self.source.load_state_dict(state["prompts"])
            self.step = state["step"]

    def _validation_rows(self) -> DataProto:
        """As many as divide over the workers."""
        data, trainer = self.config.data, self.config.trainer
        rows = to_batch(SFTDataset(data.val_files, self.tokenizer, data, data.val_max_samples, "data.val_files"))
        ranks = trainer.n_gpus_per_node * trainer.nnodes
        if len(rows) < ranks:
            raise ValueError(f"data.val_files: {len(rows)} rows are fewer than the {ranks} workers "
                             "(trainer.nnodes × trainer.n_gpus_per_node); add rows, or lower these keys")
        return rows[:len(rows) // ranks * ranks]

    def start(self) -> None:
        """Brings up the workers and loads the checkpoint to resume from."""
        config, trainer = self.config, self.config.trainer
        self.pool = ResourcePool(trainer.n_gpus_per_node, trainer.nnodes, self.device)
        self.workers = start_trainer(trainer, self.pool, trainer.call_timeout)
        optim = config.optim
        if optim.total_training_steps <= 0:
            optim = dataclasses.replace(optim, total_training_steps=self.total_steps)
        load_models(self.workers, config.model, config.fsdp_config, optim, config.grad_clip, ref=None)
        if self.resume_from is not None:
            load_model(self.workers, config.checkpoint.load_contents, self.resume_from)
            logger.info("resumed from %s", self.resume_from)
        self.tracking = Tracking(trainer.project_name, trainer.experiment_name, trainer.logger,
                                 trainer.default_local_dir, to_dict(config), self.step)
        dump(config, Path(trainer.default_local_dir) / "config.yaml")

    def fit(self) -> None:
        """Runs the remaining steps."""
        trainer, began, first = self.config.trainer, time.monotonic(), self.step
        if self.val_rows is not None and (trainer.val_only or trainer.val_before_train and self.step == 0):
            self.tracking.log(self.validate(), self.step)
        if trainer.val_only:
            return
        while self.step < self.total_steps:
            self.step += 1
            metrics = self._train_step()
            if self.val_rows is not None and due(self.step, trainer.test_freq, self.total_steps):
                metrics |= self.validate()
            metrics |= memory_metrics(self.workers)
            self.tracking.log(metrics, self.step)
            if due(self.step, trainer.save_freq, self.total_steps):
                self._save()
            self.checkpoints.check()
            self._report(metrics, (time.monotonic() - began) / (self.step - first) * (self.total_steps - self.step))
        self.checkpoints.wait()
        logger.info("%d steps in %s", self.total_steps - first, duration(time.monotonic() - began))

    def _train_step(self) -> dict[str, float]:
        self.phase, start = "update_sft", time.perf_counter()
        batch = self.rows[next(self.source)]
        self.workers.load_batch(batch)
        metrics = self.workers.update_sft(self.bounds)[0]
        return metrics | {
            "training/global_step": self.step,
            "training/epoch": self.source.epoch,
            **_speed(batch, start)
        }

    def validate(self) -> dict[str, float]:
        """Mean loss per answer token of the validation rows, in nats."""
        self.phase = "evaluate_sft"
        self.workers.load_batch(self.val_rows)
        metrics = self.workers.evaluate_sft(self.bounds)[0]
        print(f"validation at step {self.step}: val/loss {metrics['val/loss']:.4f}", flush=True)
        return metrics

    def close(self) -> None:
        """Ends the workers and the loggers, as far as they have started."""
        if hasattr(self, "tracking"):
            self.tracking.close()
        self.checkpoints.close()
        if hasattr(self, "pool"):
            self.pool.release()

    def _save(self) -> None:
        self.phase = "save_checkpoint"
        state = {"prompts": self.source.state_dict()}
        config = self.config.checkpoint
        self.checkpoints.save(self.step, state, lambda folder: save_model(self.workers, self.tokenizer, config, folder),
                              (lambda: all(self.workers.saved())) if config.async_save else None)

    def _report(self, metrics: dict[str, float], seconds_left: float) -> None:
        every = max(1, self.total_steps // 50)
        if self.step % every and self.step != self.total_steps:
            return
        losses = " · ".join(f"{name} {metrics[name]:.4f}" for name in ("train/loss", "val/loss") if name in metrics)
        print(f"epoch {self.source.epoch + 1}/{math.ceil(self.total_steps / self.source.steps_per_epoch)} · "
              f"step {self.step}/{self.total_steps} · {losses} · {metrics['perf/throughput']:,.0f} tokens/s · "
              f"{duration(seconds_left)} left", flush=True)  # yapf: disable


def _speed(batch: DataProto, start: float) -> dict[str, float]:
    seconds = time.perf_counter() - start
    tokens = len(batch.batch["prompts"].values) + len(batch.batch["responses"].values)
    return {"timing_s/step": seconds, "perf/total_num_tokens": tokens, "perf/throughput": tokens / seconds}


def to_batch(data: SFTDataset) -> DataProto:
    """Each sample as what comes before its first target (at least one token) and the rest, with the targets as mask.

    Every sample has a target, as those of an SFTDataset do.
    """
    ids, mask = data.input_ids, data.loss_mask
    position = np.arange(len(ids.values)) - np.repeat(ids.offsets[:-1], ids.lengths)
    first_target = np.minimum.reduceat(np.where(mask.values, position, len(ids.values)), ids.offsets[:-1])
    prompt_lengths = np.maximum(first_target, 1)
    in_prompt = position < np.repeat(prompt_lengths, ids.lengths)
    rest = ids.lengths - prompt_lengths
    return DataProto.from_dict({
        "prompts": Ragged.from_lengths(ids.values[in_prompt], prompt_lengths),
        "responses": Ragged.from_lengths(ids.values[~in_prompt], rest),
        "response_mask": Ragged.from_lengths(mask.values[~in_prompt], rest),
    })
