"""HDF5 files of others: LIBERO's own layout, and bad ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from made_episodes import picture

from vla_mbpo_ros.data.episodes.reader import read_episode
from vla_mbpo_ros.data.formats.hdf5.read import Hdf5Source
from vla_mbpo_ros.errors import ConfigError, UnknownName

Run = Callable[..., Any]
NAME = "pick_up_the_milk_and_place_it_in_the_basket_demo.hdf5"
ROWS = 9


@pytest.fixture
def libero(tmp_path: Path) -> Path:
    """As LIBERO's script writes it: images upside down, the rate in env_args, the last row rewarded."""
    path = tmp_path / NAME
    random = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_name"] = "Libero_Object"
        data.attrs["problem_info"] = json.dumps({"language_instruction": "pick up the milk"})
        data.attrs["macros_image_convention"] = "opengl"
        data.attrs["env_args"] = json.dumps({"env_kwargs": {"control_freq": 20}})
        for number in (0, 1, 10, 2):
            demo = data.create_group(f"demo_{number}")
            demo["actions"] = random.normal(size=(ROWS, 7))
            demo["rewards"] = demo["dones"] = np.array([0] * (ROWS - 1) + [1], dtype=np.uint8)
            for key, width in {"joint_states": 7, "gripper_states": 2, "ee_states": 6, "ee_pos": 3}.items():
                demo[f"obs/{key}"] = random.normal(size=(ROWS, width))
            for index, camera in enumerate(("agentview", "eye_in_hand")):
                images = np.stack([picture(index, row)[::-1] for row in range(ROWS)])
                demo[f"obs/{camera}_rgb"] = images
    return path


def change(path: Path, edit: Callable[[Any], object]) -> None:
    with h5py.File(path, "a") as file:
        edit(file)


def test_liberos_demonstrations_become_bags_with_upright_images(libero: Path, import_from: Run) -> None:
    report = import_from(Hdf5Source(libero))
    assert [item.source.split(", ")[1] for item in report.moved] == ["demo_0", "demo_1", "demo_2", "demo_10"]
    read = read_episode(Path(report.moved[0].target))
    with h5py.File(libero) as file:
        np.testing.assert_array_equal(read.action, file["data/demo_0/actions"][:])
        np.testing.assert_array_equal(read.state[:, 7:], file["data/demo_0/obs/gripper_states"][:])
    assert read.state_names[:2] == ("joint_states_0", "joint_states_1")
    assert (read.facts.robot, read.facts.instruction, read.facts.outcome) == (
        "Libero_Object",
        "pick up the milk",
        "success",
    )
    assert read.success_ns == read.times_ns[-1] + 50_000_000
    assert read.facts.control_hz == 20
    np.testing.assert_array_equal(read.image("eye_in_hand", 4), picture(1, 4))


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [("auto", (1, 1)), ("flip", (1, 1)), ("stored", (-1, 1)), ("rotate-180", (1, -1))],
)
def test_images_can_be_turned(libero: Path, import_from: Run, orientation: str, turn: tuple[int, int]) -> None:
    report = import_from(Hdf5Source(libero, orientation=orientation, cameras={"agentview": "agentview"}))
    read = read_episode(Path(report.moved[0].target))
    np.testing.assert_array_equal(read.image("agentview", 4), picture(0, 4)[:: turn[0], :: turn[1]])


def test_the_state_is_made_of_what_is_asked_for(libero: Path, import_from: Run) -> None:
    report = import_from(Hdf5Source(libero, state=("ee_states", "gripper_states")))
    assert len(read_episode(Path(report.moved[0].target)).state_names) == 8
    skipped = import_from(Hdf5Source(libero, state=("ee_state",)), "other").skipped
    assert "Did you mean 'ee_states'?" in skipped[0][1]


def test_the_instruction_may_be_only_in_the_name_of_the_file(libero: Path, import_from: Run) -> None:
    change(libero, lambda file: file["data"].attrs.pop("problem_info"))
    report = import_from(Hdf5Source(libero))
    said = read_episode(Path(report.moved[0].target)).facts.instruction
    assert said == "pick up the milk and place it in the basket"


def test_a_rate_that_nobody_says_must_be_given(libero: Path, import_from: Run) -> None:
    change(libero, lambda file: file["data"].attrs.pop("env_args"))
    assert "Give --fps." in import_from(Hdf5Source(libero)).skipped[0][1]
    assert import_from(Hdf5Source(libero, fps=10), "other").skipped == []


def replaced(demo: Any, name: str, values: Any) -> None:
    del demo[name]
    demo[name] = values


BAD: dict[str, tuple[Callable[[Any], object], str]] = {
    "fewer images": (lambda demo: replaced(demo, "obs/agentview_rgb", np.zeros((3, 8, 8, 3), np.uint8)), "for 9 rows"),
    "float images": (lambda demo: replaced(demo, "obs/agentview_rgb", np.zeros((9, 8, 8, 3))), "is float64"),
    "a longer state": (
        lambda demo: replaced(demo, "obs/joint_states", np.zeros((12, 7))),
        "has 12 rows, actions have 9",
    ),
    "no actions": (lambda demo: demo.pop("actions"), "not actions and obs"),
    "text as actions": (lambda demo: replaced(demo, "actions", [b"go"] * 9), "'actions' is"),
    "a NaN": (
        lambda demo: replaced(demo, "actions", np.full((9, 7), np.nan)),
        "The action is nan for action_0 at row 0",
    ),
    "no state": (lambda demo: [demo.pop("obs/joint_states"), demo.pop("obs/gripper_states")], "--state, of ee_pos"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_demonstration_is_a_named_skip(libero: Path, import_from: Run, case: str) -> None:
    edit, reason = BAD[case]
    change(libero, lambda file: edit(file["data/demo_1"]))
    report = import_from(Hdf5Source(libero))
    assert [source.split(", ")[1] for source, _ in report.skipped] == ["demo_1"]
    assert reason in report.skipped[0][1]
    assert len(report.moved) == 3


def test_files_that_are_none_are_skipped_and_the_others_read(libero: Path, import_from: Run) -> None:
    (libero.parent / "a.hdf5").write_bytes(b"not HDF5")
    with h5py.File(libero.parent / "b.hdf5", "w") as file:
        file["x"] = 1
    report = import_from(Hdf5Source(libero.parent))
    assert len(report.moved) == 4
    assert [source for source, _ in report.skipped] == ["a.hdf5", "b.hdf5"]
    assert "cannot be read as HDF5" in report.skipped[0][1]
    assert "has no group 'data'" in report.skipped[1][1]


def test_a_robot_with_other_joints_is_a_named_skip(libero: Path, import_from: Run) -> None:
    skipped = import_from(Hdf5Source(libero, "arx_x5", {"head": "agentview"})).skipped
    assert "has 9 columns, arx_x5 has 14 joints" in skipped[0][1]


def test_sources_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no \.hdf5 or \.h5 file"):
        Hdf5Source(tmp_path)
    with pytest.raises(UnknownName, match="Did you mean 'rotate-180'"):
        Hdf5Source(tmp_path, orientation="rotate180")
