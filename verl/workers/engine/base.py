"""What the roles (actor, ref, critic) ask of a training engine."""
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from verl.config.engine import CHECKPOINT_PARTS
from verl.protocol import DataProto
from verl.workers.engine.checkpoint import Snapshot
from verl.workers.engine.weights import WeightSource


@dataclass(frozen=True)
class MicroBatchBounds:
    """How a rank cuts its rows into micro-batches: exactly one of a hard token cap and a row count."""
    max_tokens: int | None
    size: int | None


@dataclass(frozen=True)
class BatchTotals:
    """Counts over the whole mini-batch on all ranks: the denominators of every loss and metric."""
    tokens: int
    sequences: int

    def as_info(self, loss_scale_factor: float | None) -> dict[str, float | int | None]:
        """The `global_batch_info` that losses and `agg_loss` take."""
        return {
            "batch_num_tokens": self.tokens,
            "global_batch_size": self.sequences,
            "loss_scale_factor": loss_scale_factor
        }


@dataclass(frozen=True)
class LossInputs:
    """One micro-batch as a loss sees it: [rows, longest response] tensors, zero-padded on the right. A policy gives
    `log_prob` and maybe `entropy`, a critic `vpreds`.
    """
    log_prob: Tensor | None
    entropy: Tensor | None
    response_mask: Tensor
    columns: dict[str, Tensor]  # per-token ones padded alike; per-row ones [rows]
    vpreds: Tensor | None = None


LossFn = Callable[[LossInputs, BatchTotals], tuple[Tensor, dict[str, Tensor]]]


class TrainEngine(ABC):
    """One model on this rank. Methods are collective: every rank of the mesh calls them in the same order."""

    @abstractmethod
    def forward(self, batch: DataProto, bounds: MicroBatchBounds, temperature: float) -> DataProto:
        """Columns `log_probs` and `entropys` of a policy, `values` of a critic: Ragged float32, one number per response
        token, rows as in `batch`.
        """

    @abstractmethod
    def forward_backward(self, batch: DataProto, loss_fn: LossFn, bounds: MicroBatchBounds, temperature: float,
                         with_entropy: bool) -> dict[str, float]:
        """Accumulates gradients of one mini-batch; metrics as `reduce_metrics` over micro-batches and ranks."""

    @abstractmethod
    def reduce_metrics(self, metrics: dict[str, Tensor]) -> dict[str, float]:
        """Global values from each rank's contributions: the sum, or the maximum where the name ends in _max."""

    @abstractmethod
    def optimizer_step(self) -> dict[str, float]:
        """Clips, steps, advances the schedule; -> grad_norm and lr."""

    @abstractmethod
    def snapshot(self, contents: Sequence[str], on_host: bool = False) -> Snapshot:
        """The parts of `contents` (checkpoint.save_contents) to be written: as they are, before anything else is done
        with the engine, or copied to host memory, at any later time and from a thread.
        """

    def save(self, directory: Path, contents: Sequence[str] = CHECKPOINT_PARTS) -> None:
        """Writes the parts of `contents`: weights, optimizer, schedule (extra); loadable on any number of ranks."""
        self.snapshot(contents).save(directory)

    def export_hf(self, directory: Path) -> None:
        """Writes the weights as a Hugging Face folder (config and safetensors)."""
        self.snapshot(["hf_model"]).export_hf(directory)

    @abstractmethod
    def load(self, directory: Path, contents: Sequence[str] = CHECKPOINT_PARTS) -> None:
        """Reads these parts of what `save` wrote; one that was not saved, or another model's, is a ValueError."""

    @abstractmethod
    def weights(self, dtype: str) -> WeightSource:
        """The current weights as whole tensors of `dtype`."""

    @abstractmethod
    def onload(self) -> None:
        """Brings the weights to the device; whatever needs them there does so itself."""

    @abstractmethod
    def offload(self) -> None:
        """Leaves them in host memory until then, and the optimizer's state, where the config says so."""
