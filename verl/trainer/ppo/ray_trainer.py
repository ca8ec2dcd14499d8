"""The step loop of PPO, GRPO and their relatives.

One driver, three kinds of processes; the driver alone decides who works:

    driver (this file)      replicas (vLLM | hf)     reward actor ── processes     training workers (FSDP2)
      │  prompts ────────────▶ generate                                              idle, watched
      │  ◀── completions, as each finishes
      │  answers ────────────────────────────────────▶ score (own deadline each)
      │  ◀── scores, overlapping with generation
      │  sleep ──────────────▶ (device memory freed)
      │  load_batch, once: each rank keeps its rows ───────────────────────────────▶ old_log_prob, ref_log_prob, values,
      │  advantages, from the scores here or from the values there                   update_critic,
      │  ◀── metrics only ───────────────────────────────────────────────────────── update_actor
      │  wake(weights) ──────▶ ◀──────── new weights through shared memory ───────── write_weights, then the actor may
      │                                                                              go to host memory (param_offload)
      │  wake(kv_cache) ─────▶
      └─ metrics, rollouts, validation, checkpoint; next step

Every call has a deadline, and whoever misses it or dies is named (WorkerFailure). A replica that is lost is restarted
with the current weights while the others go on (router.py); the loss of any other process ends the run. A step is a
function of its number, the seed and the weights, so a resumed run repeats what an uninterrupted one does.
"""
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import ray
from ray.exceptions import RayError

from verl.config.ppo import PPOConfig
from verl.config.show import dump as dump_config
from verl.protocol import DataProto
from verl.single_controller import ResourcePool
from verl.trainer.checkpoint import CheckpointManager, load_model, save_model
from verl.trainer.cluster import load_models, start_trainer
from verl.trainer.entry import due
from verl.trainer.memory import memory_metrics
from verl.trainer.ppo import metric_utils
from verl.trainer.ppo.advantages import Advantages
from verl.trainer.ppo.inputs import RunInputs
from verl.trainer.ppo.plan import StepPlan
from verl.trainer.ppo.rollouts import Rollouts
from verl.trainer.ppo.services import reward_shaping, start_replicas, start_reward
from verl.trainer.ppo.shares import share_out
from verl.trainer.ppo.validation import dump, generations, validation_metrics
from verl.utils.console import StepProgress, duration, step_line
from verl.utils.flops_counter import ModelCost
from verl.workers.rollout.base import sample_seed
from verl.workers.rollout.router import RolloutRouter
from verl.workers.rollout.weight_sync import WeightSync, probe

logger = logging.getLogger(__name__)
Metrics = dict[str, float]
VALIDATION = -1  # the "step" that seeds validation samples, so that every validation draws alike
CLOSE_TIMEOUT = 30.0  # s


class RayPPOTrainer:
    """`inputs` have been read and checked, `plan` derived from the config; `start` brings up the processes, `fit` runs
    the steps.
    """

    def __init__(self, config: PPOConfig, inputs: RunInputs, plan: StepPlan):
        self.config, self.inputs, self.plan = config, inputs, plan
        self.source = inputs.prompt_source()
        self.checkpoints = CheckpointManager(config.trainer)
        self.step = 0
        self.phase = "load"  # what is being done, for messages
        self.timing: Metrics = {}

    # ---- start ----

    def start(self) -> None:
        """Brings up all processes, loads the checkpoint to resume from, gives its weights to the replicas."""
        config, plan = self.config, self.plan
        actor = config.actor_rollout_ref.actor
        self.pool = ResourcePool(config.trainer.n_gpus_per_node, config.trainer.nnodes, config.trainer.device)
        self.trainer = start_trainer(config.trainer, self.pool, config.actor_rollout_ref.nccl_timeout)
        self.replicas = start_replicas(config, self.pool, self.trainer)
        self.reward = start_reward(config, self.inputs.tokenizer_path, self.inputs.data_sources)
        load_models(self.trainer, config.actor_rollout_ref.model, actor.fsdp_config, plan.optim, actor.grad_clip,
                    config.actor_rollout_ref.ref.fsdp_config if config.uses_reference else None)
        if plan.critic:
            critic = config.critic
            self.trainer.load_critic(critic.model, critic.model.fsdp_config, plan.critic.optim, critic.grad_clip)
        self.advantages = Advantages(config, self.trainer)
        self.cost, peak = ModelCost.of(self.inputs.hf_config), self.trainer.device_peak()
        self.peak = peak and peak * self.pool.world_size
        self._resume()
        self.phase = "start_replicas"
        self.replicas.start()
        self.weights = WeightSync(self.trainer, self.replicas, config.actor_rollout_ref.rollout)
        router = RolloutRouter(self.replicas, plan.replica_capacity, self.weights.bring_up, plan.unit_size is not None)
        self.rollouts = Rollouts(router, self.reward, self.trainer, plan.unit_size, config.trainer.seed,
                                 config.reward_model.max_failure_rate, reward_shaping(config))
        self.phase = "update_weights"
        self.weights.publish()
        if config.actor_rollout_ref.rollout.sync_probe:
            probe(self.trainer, router, self.inputs.train_set.prompt_ids[0], plan.probe_sampling, plan.probe_tolerance,
                  self.weights if actor.fsdp_config.param_offload else None)
        self.tracking = self.inputs.tracking(self.step)
        dump_config(config, Path(config.trainer.default_local_dir) / "config.yaml")

    def _resume(self) -> None:
        folder = self.checkpoints.find()
        if folder is None:
            return
        state = self.checkpoints.read_state(folder)
        self.source.load_state_dict(state["prompts"])
        load_model(self.trainer, self.config.actor_rollout_ref.actor.checkpoint.load_contents, folder)
        if self.plan.critic:
            load_model(self.trainer, self.config.critic.checkpoint.load_contents, folder, "critic")
        self.advantages.load_state_dict(state.get("kl_ctrl", {}))
        self.step = state["step"]
        logger.info("resumed from %s", folder)

    # ---- steps ----

    def fit(self) -> None:
        """Runs the remaining steps."""
        config, total = self.config.trainer, self.plan.total_steps
        if config.val_only or (config.val_before_train and self.step == 0):
            self.tracking.log(self._validate(), self.step)
        if config.val_only:
            return
        began, first = time.monotonic(), self.step
        for metrics in self.steps():
            left = (time.monotonic() - began) / (self.step - first) * (total - self.step)
            print(step_line(metrics, self.source.epoch + 1, self.plan.total_epochs, self.step, total, left), flush=True)
        logger.info("%d steps in %s", total - first, duration(time.monotonic() - began))

    def steps(self) -> Iterator[Metrics]:
        """Runs one step each time it is asked for the metrics of the next."""
        config, total = self.config.trainer, self.plan.total_steps
        while self.step < total:
            self.step += 1
            with self._timed("step"):
                with StepProgress(f"step {self.step}/{total}") as progress:
                    batch, metrics = self._train_step(progress)
                if due(self.step, config.test_freq, total):
                    with self._timed("testing"):
                        metrics |= self._validate()
            metrics |= self._step_metrics(batch)
            self.tracking.log(metrics, self.step)
            yield metrics
            self.timing = {}
            if due(self.step, config.save_freq, total):  # after the step is logged: a resumed run logs only later ones
                with self._timed("save_checkpoint"):  # reported with the next step
                    self._save()
            self.checkpoints.check()
        self.checkpoints.wait()

    def _train_step(self, progress: StepProgress) -> tuple[DataProto, Metrics]:
        plan, actor = self.plan, self.config.actor_rollout_ref.actor
        rows = [self.inputs.train_set[i] for i in next(self.source)]
        with self._phase(progress, "gen", len(rows) * plan.n):
            batch = self.rollouts.collect(rows, plan.sampling, plan.n, self.step, progress.advance)
        self.replicas.sleep()
        order, metrics = share_out(batch, rows, self.trainer, self.cost, plan.mini_batches,
                                   self.config.trainer.balance_batch)
        if not plan.on_policy:
            with self._phase(progress, "old_log_prob"):
                metrics |= self.trainer.old_log_prob(plan.old_log_prob_bounds, plan.sampling.temperature)[0]
        if self.config.uses_reference:
            with self._phase(progress, "ref"):
                self.trainer.ref_log_prob(plan.ref_bounds, plan.sampling.temperature)
        if plan.critic:
            with self._phase(progress, "values"):
                self.trainer.values(plan.critic.value_bounds)
        with self._phase(progress, "adv"):
            metrics |= self.advantages.add(batch, order)
        longest, seed = self.config.data.max_response_length, self.config.trainer.seed
        if plan.critic:
            with self._phase(progress, "update_critic"):
                metrics |= self.trainer.update_critic(self.config.critic, plan.critic.update_bounds,
                                                      plan.critic.mini_batches, longest,
                                                      sample_seed(seed, self.step, "update_critic", 0))[0]
        if self.step > self.config.trainer.critic_warmup:
            with self._phase(progress, "update_actor"):
                metrics |= self.trainer.update_actor(actor, plan.update_bounds, plan.sampling.temperature,
                                                     plan.mini_batches, longest,
                                                     sample_seed(seed, self.step, "update_actor", 0))[0]
        with self._phase(progress, "update_weights"):
            self.weights.publish()
        dump(self.inputs.rollout_dir / f"step_{self.step}.parquet", self.step, batch)
        return batch, metrics

    # ---- around the steps ----

    def _validate(self) -> Metrics:
        if self.inputs.val_set is None:
            return {}
        rows = [self.inputs.val_set[i] for i in range(len(self.inputs.val_set))]
        size = self.config.data.val_batch_size or len(rows)
        self.phase = "gen"
        with StepProgress(f"step {self.step}") as progress:
            progress.phase("validate", len(rows) * self.plan.val_n)
            batch = DataProto.concat([
                self.rollouts.collect(rows[start:start + size], self.plan.val_sampling, self.plan.val_n, VALIDATION,
                                      progress.advance) for start in range(0, len(rows), size)
            ])
        dump(self.inputs.validation_dir / f"step_{self.step}.parquet", self.step, batch)
        if shown := self.config.trainer.log_val_generations:
            self.tracking.log_generations(generations(batch, shown), self.step)
        metrics = validation_metrics(batch)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if name.startswith("val-core/"))
        print(f"validation at step {self.step}: {shown}", flush=True)
        return metrics

    def _save(self) -> None:
        self.phase = "save_checkpoint"
        state = {"prompts": self.source.state_dict(), "kl_ctrl": self.advantages.state_dict()}
        roles = {"actor": self.config.actor_rollout_ref.actor.checkpoint}
        if self.plan.critic:
            roles["critic"] = self.config.critic.checkpoint

        def write(folder: Path) -> None:
            for role, config in roles.items():
                save_model(self.trainer, self.inputs.tokenizer, config, folder, role)

        in_background = any(config.async_save for config in roles.values())
        self.checkpoints.save(self.step, state, write, self._written if in_background else None)

    def _written(self) -> bool:
        return all(self.trainer.saved())

    def _step_metrics(self, batch: DataProto) -> Metrics:
        data, epochs = self.config.data, self.config.actor_rollout_ref.actor.ppo_epochs
        return {
            "training/global_step": self.step,
            "training/epoch": self.source.epoch,
            **metric_utils.compute_data_metrics(batch, data.max_response_length, data.max_prompt_length),
            **self._reward_metrics(batch),
            **metric_utils.compute_timing_metrics(batch, self.timing),
            **metric_utils.compute_mfu_metrics(batch, self.timing, self.cost, epochs, self.peak),
            **metric_utils.compute_throughput_metrics(batch, self.timing, self.pool.world_size),
            **memory_metrics(self.trainer),
        }

    def _reward_metrics(self, batch: DataProto) -> Metrics:
        results = [sample.reward for sample in batch.non_tensor_batch["sample"]]
        metrics = metric_utils.compute_reward_metrics(batch.non_tensor_batch["data_source"],
                                                      [r.status for r in results], [r.seconds for r in results])
        penalty = self.rollouts.shaping.overlong
        if penalty and self.config.reward_model.reward_kwargs.overlong_buffer_cfg.log:
            penalties = np.array([penalty(length) for length in batch.batch["responses"].lengths.tolist()])
            metrics |= {"reward/overlong_penalty": penalties.mean(), "reward/overlong_ratio": (penalties < 0).mean()}
        return metrics

    @contextmanager
    def _phase(self, progress: StepProgress, name: str, total: int | None = None) -> Iterator[None]:
        self.phase = name
        progress.phase(name, total)
        with self._timed(name):
            yield

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.timing[name] = time.perf_counter() - start

    def close(self) -> None:
        """Ends the save on its way, the replicas' and the reward's processes, and removes the weights left in shared
        memory; Ray's own shutdown ends the training workers.
        """
        if hasattr(self, "tracking"):
            self.tracking.close()
        self.checkpoints.close()
        if hasattr(self, "replicas"):
            with suppress(RayError):  # Ray itself may be what ended the run
                self.replicas.shutdown()
        if hasattr(self, "reward"):
            with suppress(RayError):  # or the reward actor
                ray.get(self.reward.close.remote(), timeout=CLOSE_TIMEOUT)
        if hasattr(self, "weights"):
            self.weights.close()
