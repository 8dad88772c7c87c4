"""The distance's laws, with random weights: its worth comes with trained ones, which nobody ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402 (after the check)
from vla_mbpo_ros.evaluation.lpips import Lpips  # noqa: E402

CHANNELS = (3, 64, 192, 384, 256, 256)
SIDES = (11, 5, 3, 3, 3)
NUMBERS = (0, 3, 6, 8, 10)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    held = {}
    for index, (number, side) in enumerate(zip(NUMBERS, SIDES, strict=True)):
        before, after = CHANNELS[index], CHANNELS[index + 1]
        held[f"features.{number}.weight"] = torch.randn(after, before, side, side) * (before * side * side) ** -0.5
        held[f"features.{number}.bias"] = torch.zeros(after)
        held[f"lin{index}.model.1.weight"] = torch.rand(1, after, 1, 1)
    return held


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, 2, 64, 64, 3), dtype=np.uint8)


def test_it_is_a_distance_that_grows(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "weights.pth")
    lpips, one = Lpips(tmp_path / "weights.pth"), noise(0)
    near, far = one.copy(), noise(1)
    near[..., :8, :8, :] = far[..., :8, :8, :]
    np.testing.assert_allclose(lpips(one, one), np.zeros((3, 2)), atol=1e-9)
    assert (lpips(one, near) < lpips(one, far)).all()
    assert (lpips(one, near) > 0.0).all()
    np.testing.assert_allclose(lpips(one, far), lpips(far, one), rtol=1e-5)
    np.testing.assert_allclose(lpips(one, far)[1], lpips(one[1], far[1]), rtol=1e-4)


def test_safetensors_give_the_same(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(weights, tmp_path / "weights.safetensors")
    torch.save(weights, tmp_path / "weights.pth")
    found = [Lpips(tmp_path / name)(noise(0), noise(1)) for name in ("weights.safetensors", "weights.pth")]
    np.testing.assert_array_equal(*found)


def test_other_files_are_refused(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no file"):
        Lpips(tmp_path / "nowhere.pth")
    del weights["lin3.model.1.weight"]
    torch.save(weights, tmp_path / "half.pth")
    with pytest.raises(ContractError, match="lin3"):
        Lpips(tmp_path / "half.pth")
