"""What a camera is.

camera.open()
frame = camera.read(timeout_s=0.5)   # blocks until the next frame
camera.close()
"""

from __future__ import annotations

from typing import Protocol

from vla_mbpo_ros.schema import Frame, Intrinsics


class Camera(Protocol):
    """One thread opens, reads and closes it. Opening twice and closing twice are harmless."""

    @property
    def name(self) -> str: ...

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the images that `read` gives."""

    def open(self) -> None:
        """DeviceError if there is no such device, or somebody else uses it."""

    def read(self, timeout_s: float) -> Frame:
        """The next frame; its number counts every frame the device took, so a gap is a loss.

        DeviceError when none comes in time or the camera is not open.
        """

    def close(self) -> None: ...
