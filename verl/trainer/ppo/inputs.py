"""Everything a run reads, checked before any process starts: model folder, tokenizer, datasets, reward routing,
checkpoint.
"""
import logging
import os
from pathlib import Path

from reward_score.custom import load_custom_function
from reward_score.registry import resolve
from verl.config.ppo import PPOConfig
from verl.config.show import to_dict
from verl.trainer.checkpoint import CheckpointManager
from verl.trainer.entry import check_outputs, check_vocabulary
from verl.utils.dataset.prompt_source import PromptSource
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.hub import load_hf_config, stop_token_ids
from verl.utils.tokenizer import load_tokenizer
from verl.utils.tracking import Tracking

logger = logging.getLogger(__name__)


class RunInputs:
    """Raises ValueError, naming key, file or row, for whatever cannot work."""

    def __init__(self, config: PPOConfig):
        self.config = config
        check_outputs(config.trainer)
        model, data = config.actor_rollout_ref.model, config.data
        self.tokenizer_path = model.tokenizer_path or model.path
        self.tokenizer = load_tokenizer(self.tokenizer_path, data.trust_remote_code)
        self.train_set = RLHFDataset(data.train_files, self.tokenizer, data, data.train_max_samples)
        self.val_set = None
        if data.val_files:
            self.val_set = RLHFDataset(data.val_files, self.tokenizer, data, data.val_max_samples, "data.val_files")
        self.hf_config = load_hf_config(model.path, model.trust_remote_code)
        check_vocabulary(self.tokenizer, self.hf_config, model.path)
        if config.uses_critic:
            critic = config.critic.model
            check_vocabulary(self.tokenizer, load_hf_config(critic.path, critic.trust_remote_code), critic.path)
        self._check_rewards()
        if (folder := CheckpointManager(config.trainer).find()) is not None:
            self.prompt_source().load_state_dict(CheckpointManager.read_state(folder)["prompts"])

    def _check_rewards(self) -> None:
        custom = self.config.custom_reward_function
        if custom.path:
            load_custom_function(custom.path, custom.name)
            return
        for key, dataset in self._datasets().items():
            for source, count in dataset.data_sources.items():
                try:
                    reward = resolve(source)
                except ValueError as error:
                    raise ValueError(f"data.{key}: {count} of {len(dataset)} rows cannot be scored: {error}") from error
                if missing := [name for name in reward.environment if not os.environ.get(name)]:
                    raise ValueError(
                        f"data.{key}: {count} rows of data_source {source} need {', '.join(missing)} in the "
                        f"environment ({'; '.join(reward.services)})")
                if reward.needs_extra_info:
                    _warn_of_missing_info(key, dataset, source, reward.needs_extra_info)

    def _datasets(self) -> dict[str, RLHFDataset]:
        datasets = {"train_files": self.train_set, "val_files": self.val_set}
        return {key: dataset for key, dataset in datasets.items() if dataset is not None}

    @property
    def data_sources(self) -> list[str]:
        """All that the rewards will see."""
        return sorted({source for dataset in self._datasets().values() for source in dataset.data_sources})

    def prompt_source(self) -> PromptSource:
        """The order of the training prompts."""
        data = self.config.data
        return PromptSource(len(self.train_set), data.train_batch_size, data.shuffle, data.seed or 0,
                            self.train_set.fingerprint)

    def stop_ids(self) -> tuple[int, ...]:
        """Token ids that end an answer: the tokenizer's, the model's and the generation config's end-of-sequence ids.
        """
        return stop_token_ids(self.tokenizer, self.config.actor_rollout_ref.model.path)

    def tracking(self, start_step: int) -> Tracking:
        """Where metrics go."""
        trainer = self.config.trainer
        return Tracking(trainer.project_name, trainer.experiment_name, trainer.logger, trainer.default_local_dir,
                        to_dict(self.config), start_step)

    @property
    def rollout_dir(self) -> Path:
        """Folder of the training rollouts."""
        trainer = self.config.trainer
        return Path(trainer.rollout_data_dir or Path(trainer.default_local_dir) / "rollouts")

    @property
    def validation_dir(self) -> Path:
        """Folder of the validation rollouts."""
        trainer = self.config.trainer
        return Path(trainer.validation_data_dir or Path(trainer.default_local_dir) / "validation")


def _warn_of_missing_info(key: str, dataset: RLHFDataset, source: str, needed: tuple[str, ...]) -> None:
    """A row's reward may do without; where it does not, the failure is counted as the run goes."""
    rows = (dataset[i] for i in range(len(dataset)))
    lacking = [row for row in rows if row.data_source == source and not row.extra_info.keys() >= set(needed)]
    if lacking:
        logger.warning(
            "data.%s: %d rows of data_source %s lack %s in extra_info, which their reward reads; the first: %r", key,
            len(lacking), source, " or ".join(needed), lacking[0].prompt_text[:200])
