"""Cameras: the synthetic one, the factory, the detector of frozen ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vla_mbpo_ros.config import CameraConfig
from vla_mbpo_ros.devices.cameras.factory import make_camera
from vla_mbpo_ros.devices.cameras.pattern import Pattern
from vla_mbpo_ros.devices.cameras.protocol import Camera
from vla_mbpo_ros.devices.cameras.synthetic import SyntheticCamera
from vla_mbpo_ros.devices.cameras.watch import FrozenFrameDetector
from vla_mbpo_ros.errors import DeviceError, UnknownName
from vla_mbpo_ros.schema import Frame


class FakeTime:
    """A steady clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.steady_ns = 1_000

    def sleep(self, seconds: float) -> None:
        self.steady_ns += round(seconds * 1e9)

    def camera(self, hz: float = 30.0) -> SyntheticCamera:
        return SyntheticCamera("head", 64, 48, hz, lambda: self.steady_ns + 10**15, lambda: self.steady_ns, self.sleep)


def test_frames_come_at_their_rate_numbered_stamped_and_moving() -> None:
    time = FakeTime()
    camera = time.camera(hz=50.0)
    camera.open()
    frames = [camera.read(0.5) for _ in range(5)]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert np.diff([frame.stamp_ns for frame in frames]).tolist() == [20_000_000] * 4
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image.dtype == np.uint8
    assert len({frame.image.tobytes() for frame in frames}) == 5
    assert (camera.intrinsics.width, camera.intrinsics.height) == (64, 48)


def test_a_slow_reader_sees_in_the_numbers_what_it_missed() -> None:
    time = FakeTime()
    camera = time.camera(hz=50.0)
    camera.open()
    camera.read(0.5)
    time.sleep(0.1)
    assert camera.read(0.5).number == 5
    assert camera.read(0.5).number == 6


def test_a_camera_that_is_closed_or_too_slow_says_so() -> None:
    camera = FakeTime().camera(hz=0.5)
    with pytest.raises(DeviceError, match="not open"):
        camera.read(0.1)
    camera.open()
    camera.read(0.1)
    with pytest.raises(DeviceError, match=r"no frame within 0\.1 s"):
        camera.read(0.1)
    camera.close()
    camera.close()


def test_the_number_of_a_frame_can_be_seen() -> None:
    pattern = Pattern(640, 480)
    boards = [pattern.frame(number)[:175, :625] for number in (0, 1_000_000)]  # seven digits: six are shown
    np.testing.assert_array_equal(boards[0], boards[1])
    assert (pattern.frame(8)[:175, :625] != boards[0]).any()
    assert set(np.unique(boards[0])) == {0, 255}
    assert Pattern(16, 16).frame(3).shape == (16, 16, 3)


def test_a_camera_is_made_by_its_driver_or_the_driver_is_named() -> None:
    cfg = CameraConfig(hz=30.0, width=32, height=16)
    camera: Camera = make_camera("head", cfg, lambda: 42)
    camera.open()
    assert camera.read(1.0).stamp_ns == 42
    camera.close()
    with pytest.raises(UnknownName, match=r"'synthetc' in cameras\.head\.driver. Did you mean 'synthetic'"):
        make_camera("head", replace(cfg, driver="synthetc"))


def test_a_frozen_picture_is_noticed_though_numbers_and_stamps_go_on() -> None:
    time = FakeTime()
    camera, detector = time.camera(hz=50.0), FrozenFrameDetector("head", max_age_s=0.2)
    camera.open()
    assert detector.problem(time.steady_ns) == ""
    assert all(detector.see(camera.read(0.5), time.steady_ns) == "" for _ in range(20))
    camera.freeze()
    found = [detector.see(camera.read(0.5), time.steady_ns) for _ in range(20)]
    assert found[:10] == [""] * 10
    assert "'head' is frozen: the same picture for 0.2 s" in found[-10]
    assert "Check its cable" in found[-1]
    camera.freeze(False)
    assert detector.see(camera.read(0.5), time.steady_ns) == ""


def test_silence_and_a_repeated_stamp_are_noticed() -> None:
    detector = FrozenFrameDetector("head", max_age_s=0.2, pixels=False)
    still = np.zeros((16, 16, 3), np.uint8)
    for tick in range(100):  # a still scene in simulation
        assert detector.see(Frame(tick * 10**8, still), tick * 10**8) == ""
    assert "no frame for 0.3 s" in detector.problem(99 * 10**8 + 3 * 10**8)
    assert "same stamp" in detector.see(Frame(99 * 10**8, still), 100 * 10**8)
    assert detector.see(Frame(101 * 10**8, still), 101 * 10**8) == ""
