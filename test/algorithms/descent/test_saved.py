"""The state of a training on disk, and what a kill at the worst moment leaves of it."""

from __future__ import annotations

from pathlib import Path

import torch

from vla_mbpo_ros.algorithms.descent.saved import has_training, read_training, write_training

CONFIG = {"steps": 4}


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    assert not has_training(folder)
    write_training(folder, {"x": torch.ones(3)}, {"config": CONFIG, "step": 2})
    folder.rename(tmp_path / ".training.old")  # as far as a second write had come
    assert has_training(folder)
    tensors, state = read_training(folder, CONFIG)
    assert torch.equal(tensors["x"], torch.ones(3))
    assert state["step"] == 2


def test_a_new_state_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for step in (2, 4):
        write_training(tmp_path / "training", {"x": torch.full((3,), float(step))}, {"config": CONFIG, "step": step})
    assert read_training(tmp_path / "training", CONFIG)[1]["step"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["training"]
