"""The benchmark of reading measures three readers on one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli.bench_reading import measure, write_images
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.errors import BagError


@pytest.fixture(autouse=True)
def installed_messages() -> None:
    try:
        load_definition("sensor_msgs/msg/Image")
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")


def test_every_reader_is_measured_on_the_same_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "reading.jsonl"
    words = ["--mb", "20", "--folder", str(tmp_path), "--out", str(out)]
    assert cli.main(["bench", "reading", "--json", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["messages"] == 22
    for rival in ("rosbags", "mcap"):
        assert result[f"vs_{rival}"] == pytest.approx(result["gb_per_s"] / result[f"{rival}_gb_per_s"], rel=1e-3)
    assert json.loads(out.read_text())["bench"] == "reading"
    assert [path.name for path in tmp_path.iterdir()] == ["reading.jsonl"]  # the bag is gone


def test_a_reader_that_loses_messages_is_not_measured(tmp_path: Path) -> None:
    count = write_images(tmp_path / "bag", 5)
    with pytest.raises(BagError, match=f"ours read {count} of {count + 1} messages"):
        measure(tmp_path / "bag", count + 1)


def test_nothing_to_read_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "reading", "--mb", "0"]) == 2
    assert "--mb is 0" in capsys.readouterr().err
