"""What benchmarks make of their measurements, and that they measure at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli.bench_executor import jitter
from vla_mbpo_ros.errors import GraphError

MILLISECOND = 1_000_000


def test_even_periods_have_no_jitter() -> None:
    result = jitter([index * 10 * MILLISECOND for index in range(101)], 10.0)
    assert result == {"period_ms": 10.0, "jitter_p50_ms": 0.0, "jitter_p99_ms": 0.0, "jitter_max_ms": 0.0, "n": 100}


def test_one_late_command_is_two_odd_periods() -> None:
    written = [index * 10 * MILLISECOND for index in range(101)]
    written[50] += 4 * MILLISECOND
    result = jitter(written, 10.0)
    assert result["period_ms"] == 10.0
    assert result["jitter_max_ms"] == pytest.approx(4.0)
    assert result["jitter_p99_ms"] > 3.9


def test_no_commands_are_an_error() -> None:
    with pytest.raises(GraphError, match="sent no commands"):
        jitter([], 10.0)


@pytest.mark.ros
def test_images_of_one_camera_arrive_through_our_transport(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    monkeypatch.setenv("ROS_DOMAIN_ID", "83")
    out = tmp_path / "results" / "transport.jsonl"
    words = ["--cameras", "1", "--hz", "10", "--seconds", "1", "--width", "320", "--height", "240", "--out", str(out)]
    assert cli.main(["bench", "transport", "--json", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["sent"] == result["default_sent"] == 10
    assert result["lost"] == 0
    assert 0.0 < result["p50_ms"] <= result["p95_ms"]
    assert json.loads(out.read_text())["bench"] == "transport"
