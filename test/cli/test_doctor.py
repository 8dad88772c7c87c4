"""`doctor` tells what is there; here its own logic, with the machine's answers made up where they matter."""

from __future__ import annotations

import importlib.machinery
import json
from pathlib import Path

import pytest

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli.checks import hardware, machine, ros, simulation
from vla_mbpo_ros.cli.checks.check import Check, probe


def test_doctor_gives_one_object_with_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["doctor", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"ok", "checks"}
    assert all(set(check) == {"name", "ok", "required", "found", "cure"} for check in result["checks"])
    assert result["ok"] is all(check["ok"] for check in result["checks"] if check["required"])
    assert code == (0 if result["ok"] else 3)


def test_every_check_that_fails_says_what_to_do() -> None:
    for group in (machine, ros, hardware):
        for check in group.checks():
            assert check.found
            assert check.ok or check.cure


def test_something_missing_that_is_required_is_a_sentence_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Check("ROS 2 (rclpy)", False, "not installed", "Run `make setup`.", required=True)
    monkeypatch.setattr("vla_mbpo_ros.cli.doctor._run_group", lambda group: [missing] if group == "ros" else [])
    assert cli.main(["doctor"]) == 3
    captured = capsys.readouterr()
    assert "error: ROS 2 (rclpy): not installed. Run `make setup`." in captured.err
    assert "MISSING ROS 2 (rclpy)" in captured.out


@pytest.mark.parametrize(("domain", "ok"), [("", True), ("0", True), ("101", True), ("102", False), ("lab", False)])
def test_a_domain_that_dds_cannot_use_is_found(domain: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    assert ros._domain().ok is ok


def test_too_little_shared_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 64_000_000})  # what docker gives by itself
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    check = machine._shared_memory()
    assert not check.ok
    assert "--shm-size" in check.cure


def test_the_pyzed_of_pypi_is_not_taken_for_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.machinery.ModuleSpec("pyzed", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(hardware.importlib.util, "find_spec", lambda _: spec)
    assert "not the driver" in hardware._zed().found
    (tmp_path / "sl.cpython-311-x86_64-linux-gnu.so").touch()
    assert hardware._zed().ok


def test_the_cv_bridge_of_pypi_is_not_taken_for_ros_2s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros, "version_of", lambda name: {"cv-bridge": "1.13.0.post0", "numpy": "2.1"}[name])
    assert "ROS 1" in ros._cv_bridge().found


def test_jazzys_cv_bridge_beside_numpy_2_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros, "version_of", lambda name: {"cv-bridge": "", "numpy": "2.1"}[name])
    monkeypatch.setattr(ros, "has_module", lambda name: True)
    assert "numpy<2" in ros._cv_bridge().cure


@pytest.mark.parametrize(
    ("chosen", "works", "ok"),
    [
        ("", {"egl": False, "osmesa": True}, True),
        ("", {"egl": False, "osmesa": False}, False),
        ("egl", {"egl": False, "osmesa": True}, False),
        ("osmesa", {"egl": False, "osmesa": True}, True),
    ],
)
def test_the_chosen_opengl_must_draw(
    chosen: str, works: dict[str, bool], ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", chosen)
    check = simulation._rendering(works)
    assert check.ok is ok
    assert ok or "osmesa" in check.cure or "backends" in check.cure


def test_a_probe_gives_the_last_line_of_what_was_said() -> None:
    assert probe("print('one'); print('two')") == (True, "two")
    assert probe("raise ImportError('no libusb')") == (False, "ImportError: no libusb")
