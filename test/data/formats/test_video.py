"""Coding pictures must not change how urgent this program is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="av is not installed")

from vla_mbpo_ros.data.formats.lerobot.video import CODECS, encode  # noqa: E402 (after the check for av)


def _urgency() -> set[tuple[int, int]]:
    """Of all threads: policy and priority."""
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    return {(os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority) for thread in threads}


@pytest.mark.parametrize("codec", CODECS)
def test_no_thread_becomes_more_urgent_by_coding(codec: str, tmp_path: Path) -> None:
    """As root the AV1 encoder would otherwise take real-time priority 99, and every later child process with it."""
    before, during = _urgency(), set()

    def images() -> object:
        for shade in range(4):
            yield np.full((64, 64, 3), 10 * shade, np.uint8)
            during.update(_urgency())

    encode(images(), tmp_path / "video.mp4", 10, codec, 30)  # type: ignore[arg-type]
    assert during == _urgency() == before
