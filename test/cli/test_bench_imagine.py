"""`bench imagine` measures, alone and through a real node."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

from vla_mbpo_ros.cli import main as cli

KEYS = {"preset", "device", "batch1_s", "batch16_chunks_per_s", "service_overhead_ms", "plain_ratio"}


def measure(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["bench", "imagine", "--json", "--size", "32", "--repeats", "2", *words]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert result.keys() >= KEYS
    assert result["batch1_s"] > 0.0
    assert result["batch16_chunks_per_s"] > 0.0
    return result


def test_the_model_alone_needs_no_ros(capsys: pytest.CaptureFixture[str]) -> None:
    result = measure(capsys, "--without-node")
    assert result["service_overhead_ms"] is None
    assert result["plain_ratio"] is None  # there is no network whose plain twin could be measured


def test_a_network_is_compared_with_its_plain_twin(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    result = measure(capsys, "--without-node", "--preset", "tiny", "--peak", "1")
    (row,) = result["by_steps"]
    assert result["plain_ratio"] == pytest.approx(row["plain_s"] / row["ours_s"], rel=1e-4)
    assert row["gflop"] > 1.0
    assert row["roofline_share"] == pytest.approx(row["gflop"] / row["ours_s"] / 1e3, rel=1e-4)
    assert result["parameters"] > 1e6


def test_what_no_cpu_can_hold_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    assert cli.main(["bench", "imagine", "--preset", "bagel_7b", "--without-node"]) == 2
    assert "--device cuda" in capsys.readouterr().err


@pytest.mark.ros
@pytest.mark.skipif(not importlib.util.find_spec("rclpy"), reason="ROS 2 is not installed")
def test_the_service_costs_something(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "84")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    result = measure(capsys)
    assert 0.0 < result["service_overhead_median_ms"] <= result["service_overhead_ms"] <= 10_000.0
