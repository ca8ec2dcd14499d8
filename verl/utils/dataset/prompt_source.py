"""The order in which prompts are drawn: a pure function of seed and epoch, which a run can take up anywhere."""
from collections.abc import Iterator
from typing import Any

import numpy as np


class PromptSource:
    """Endless iterator over the row indices (int64 [batch_size]) of one step after the other.

    Every epoch is a permutation by (seed, epoch), or the file order without `shuffle`. As in verl an epoch's last rows
    that do not fill a batch are left out; shuffled, other rows are left out each time. No index comes twice within an
    epoch.

    Args:
        fingerprint: of the data that the indices address; a saved order is refused on other data.

    Attributes:
        epoch: from 0, of the batch that was drawn last.
        cursor: rows of this epoch drawn so far.
    """

    def __init__(self, num_rows: int, batch_size: int, shuffle: bool, seed: int, fingerprint: str) -> None:
        if not 0 < batch_size <= num_rows:
            raise ValueError(
                f"data.train_batch_size={batch_size} does not fit {num_rows} usable prompts: choose 1 to {num_rows}")
        self.num_rows, self.batch_size = num_rows, batch_size
        self.shuffle, self.seed, self.fingerprint = shuffle, seed, fingerprint
        self.epoch, self.cursor = 0, 0
        self._order = self._draw_order()

    @property
    def steps_per_epoch(self) -> int:
        return self.num_rows // self.batch_size

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        if self.cursor + self.batch_size > self.num_rows:
            self.epoch, self.cursor = self.epoch + 1, 0
            self._order = self._draw_order()
        batch = self._order[self.cursor:self.cursor + self.batch_size]
        self.cursor += self.batch_size
        return batch

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on after the last batch drawn; JSON values only."""
        return {
            "seed": self.seed,
            "shuffle": self.shuffle,
            "epoch": self.epoch,
            "cursor": self.cursor,
            "fingerprint": self.fingerprint
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken; `batch_size` may differ. Raises ValueError if data, seed or shuffle do."""
        if state["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"the checkpoint was made on other data (fingerprint {state['fingerprint']}, now {self.fingerprint}): "
                "use its files, limits and tokenizer again, or set trainer.resume_mode=disable")
        for key in ("seed", "shuffle"):
            if state[key] != getattr(self, key):
                raise ValueError(
                    f"the checkpoint's order was drawn with data.{key}={state[key]}, now it is {getattr(self, key)}: "
                    "set it back, or set trainer.resume_mode=disable")
        self.epoch, self.cursor = state["epoch"], state["cursor"]
        self._order = self._draw_order()

    def _draw_order(self) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.num_rows)
        return np.random.default_rng([self.seed, self.epoch]).permutation(self.num_rows)
