from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.models.flow import (  # noqa: E402 (after the check for torch)
    euler,
    flow_loss,
    grid,
    interpolate,
    sample_time,
    velocity_target,
)

SHAPE = (3, 5, 2)


def _pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))


def test_the_path_begins_at_data_and_ends_at_noise() -> None:
    x0, eps = _pair()
    assert torch.equal(interpolate(x0, eps, torch.zeros(3)), x0)
    assert torch.equal(interpolate(x0, eps, torch.ones(3)), eps)


def test_the_target_is_the_slope_of_the_path() -> None:
    x0, eps = _pair()
    t = torch.tensor([0.2, 0.5, 0.7], dtype=torch.float64, requires_grad=True)
    path = interpolate(x0, eps, t)
    for place in ((0, 1, 0), (2, 4, 1)):
        slope = torch.autograd.grad(path[place], t, retain_graph=True)[0][place[0]]
        assert slope == pytest.approx(velocity_target(x0, eps)[place].item())


@settings(deadline=None)
@given(st.integers(1, 40))
def test_a_true_velocity_leads_back_to_the_data_in_any_number_of_steps(steps: int) -> None:
    x0, eps = _pair()
    states = euler(lambda x, t: velocity_target(x0, eps), eps, steps)
    assert len(states) == steps + 1
    torch.testing.assert_close(states[-1], x0)
    middle = interpolate(x0, eps, torch.full((3,), grid(steps)[steps // 2], dtype=torch.float64))
    torch.testing.assert_close(states[steps // 2], middle)


def test_the_network_is_asked_at_the_moments_of_the_grid() -> None:
    asked: list[float] = []

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        asked.append(float(t[0]))
        return torch.zeros_like(x)

    euler(velocity, torch.zeros(SHAPE), 4)
    assert asked == [1.0, 0.75, 0.5, 0.25]
    assert grid(4)[-1] == 0.0


def test_the_loss_counts_only_what_has_weight() -> None:
    x0, eps = _pair()
    v = velocity_target(x0, eps)
    weight = torch.zeros(SHAPE, dtype=torch.float64)
    weight[:, :3, :1] = 1.0
    wrong = v.clone()
    wrong[:, 3:] += 5.0
    wrong[:, :, 1:] -= 5.0
    assert torch.equal(flow_loss(wrong, x0, eps, weight), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(flow_loss(v + 2.0, x0, eps, weight), torch.full((3,), 4.0, dtype=torch.float64))
    torch.testing.assert_close(flow_loss(v + 2.0, x0, eps), torch.full((3,), 4.0, dtype=torch.float64))


def test_moments_to_train_on_follow_beta() -> None:
    t = sample_time(torch.rand(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert t.min() >= 0.001
    assert t.max() <= 1.0
    beta = (t - 0.001) / 0.999
    assert beta.mean().item() == pytest.approx(0.6, abs=0.003)  # a / (a + 1)
    assert beta.var().item() == pytest.approx(1.5 / (2.5**2 * 3.5), abs=0.002)
