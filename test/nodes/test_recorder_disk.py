"""The disk fills up while the recorder records from our camera drivers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from live_graph import LiveGraph

from vla_mbpo_ros.data.bags import BagReader
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.messages import decode_compressed
from vla_mbpo_ros.msg import EpisodeStatus
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.srv import StartEpisode, StopEpisode

pytestmark = pytest.mark.ros
CAMERAS = ("head", "left_wrist", "right_wrist")
JPEG = tuple(f"cameras.{name}.jpeg_quality=85" for name in CAMERAS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB, where this user may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_episode_says_so_and_leaves_the_bag_readable(
    small_disk: Path, start_graph: Callable[..., LiveGraph]
) -> None:
    """At real time, with our camera drivers, raw and compressed."""
    size = tuple(f"cameras.{name}.{side}=256" for name in CAMERAS for side in ("width", "height"))
    where = (f"recorder.folder={small_disk}", "recorder.min_free_gb=0.0", "recorder.color=both")
    live = start_graph(cameras="synthetic", robot="sink", policy="none", set=(*JPEG, *size, *where))
    statuses = live.listen(EpisodeStatus, "recorder/status", profile=qos.LATCHED)
    began = live.call(StartEpisode, "recorder/start", StartEpisode.Request())
    assert began.success, began.message
    live.until(lambda: statuses[-1].state == EpisodeStatus.FAILED, "the disk to be full")
    assert "No space left on device" in statuses[-1].message
    live.until(lambda: any("No space left" in text for text in live.errors("recorder_node")), "diagnostics")
    ended = live.call(StopEpisode, "recorder/stop", StopEpisode.Request(outcome=EpisodeStatus.SUCCESS))
    assert not ended.success
    assert "No space left on device" in ended.message
    bag = BagReader(Path(began.bag_path))
    assert bag.complete
    facts = EpisodeFacts.from_custom_data(bag.custom_data)
    assert facts.outcome == "unknown"
    assert "No space left" in facts.note
    counts = {name: sum(1 for _ in bag.messages([name])) for name in bag.topics}
    for camera in CAMERAS:
        assert counts[f"/{camera}/color/image_raw"] > 5
        assert counts[f"/{camera}/color/image_raw/compressed"] > 5
    pixels = decode_compressed(bag.decode(next(iter(bag.messages(["/head/color/image_raw/compressed"])))))
    assert np.ptp(pixels) > 0
    live.stop()
