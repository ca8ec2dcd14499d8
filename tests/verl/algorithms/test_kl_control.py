from types import SimpleNamespace

import pytest

from verl.algorithms.kl_control import AdaptiveKLController, FixedKLController, get_kl_controller
from verl.config.algorithm import KLControlConfig


@pytest.mark.parametrize("current, factor", [(0.1, 1.0), (0.11, 1.01), (0.09, 0.99), (5.0, 1.02), (0.0, 0.98)])
def test_the_coefficient_follows_the_kl(current, factor):
    """At 100 samples of a horizon of 1000, an error of 20 % and more changes it by 2 %."""
    controller = AdaptiveKLController(0.4, target_kl=0.1, horizon=1000)
    controller.update(current, 100)
    assert controller.value == pytest.approx(0.4 * factor, rel=1e-12)


def test_it_finds_the_coefficient_that_gives_the_target():
    """Where the KL falls with the coefficient."""
    controller = AdaptiveKLController(1.0, target_kl=0.1, horizon=1000)
    for _ in range(400):
        controller.update(0.05 / controller.value, 200)
    assert controller.value == pytest.approx(0.5, rel=1e-3)


def test_the_fixed_one_stays_and_takes_the_resuming_runs_value():
    controller = get_kl_controller(KLControlConfig(kl_coef=0.3))
    controller.update(9.0, 10_000)
    controller.load_state_dict({"kl_coef": 7.0})
    assert isinstance(controller, FixedKLController) and controller.value == 0.3 and controller.state_dict() == {}


def test_the_adaptive_one_goes_on_where_it_was():
    config = KLControlConfig(type="adaptive", kl_coef=0.3)
    before, after = get_kl_controller(config), get_kl_controller(config)
    before.update(1.0, 100)
    after.load_state_dict(before.state_dict())
    assert after.value == before.value != 0.3
    after.load_state_dict({})
    assert after.value == before.value


def test_an_unknown_type_is_named():
    with pytest.raises(ValueError, match="kl_ctrl.type='other': take fixed or adaptive"):
        get_kl_controller(SimpleNamespace(type="other"))
