"""How strongly the KL to the reference counts in the reward, and how that strength changes."""
from typing import Protocol


class KLControlSettings(Protocol):
    """What is read of `algorithm.kl_ctrl`."""
    type: str
    kl_coef: float
    horizon: int
    target_kl: float


class FixedKLController:
    """The coefficient of the config, throughout."""

    def __init__(self, kl_coef: float):
        self.value = kl_coef

    def update(self, current_kl: float, n_steps: int) -> None:
        """Nothing to do."""

    def state_dict(self) -> dict[str, float]:
        """Nothing that the config does not say."""
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """The config's coefficient stays."""


class AdaptiveKLController:
    """Raises the coefficient while the KL is above its target, lowers it while below (arXiv:1909.08593, section 2.2).

    Args:
        init_kl_coef: the coefficient to start with.
        target_kl: in nats per token.
        horizon: samples over which an error of 20 % or more changes the coefficient by 20 %.
    """

    def __init__(self, init_kl_coef: float, target_kl: float, horizon: int):
        self.value, self.target, self.horizon = init_kl_coef, target_kl, horizon

    def update(self, current_kl: float, n_steps: int) -> None:
        """Takes the mean KL of a batch of `n_steps` samples."""
        error = min(max(current_kl / self.target - 1, -0.2), 0.2)
        self.value *= 1 + error * n_steps / self.horizon

    def state_dict(self) -> dict[str, float]:
        """What a resumed run goes on with."""
        return {"kl_coef": self.value}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """The coefficient that `state_dict` gave; none there: the config's."""
        self.value = state.get("kl_coef", self.value)


KLController = FixedKLController | AdaptiveKLController


def get_kl_controller(kl_ctrl: KLControlSettings) -> KLController:
    """The controller that `kl_ctrl.type` names."""
    if kl_ctrl.type == "fixed":
        return FixedKLController(kl_ctrl.kl_coef)
    if kl_ctrl.type == "adaptive":
        return AdaptiveKLController(kl_ctrl.kl_coef, kl_ctrl.target_kl, kl_ctrl.horizon)
    raise ValueError(f"algorithm.kl_ctrl.type={kl_ctrl.type!r}: take fixed or adaptive")
