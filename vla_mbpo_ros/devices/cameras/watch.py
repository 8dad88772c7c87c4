"""Is a camera frozen? A dead one is noticed by silence, a frozen one goes on sending the same picture."""

from __future__ import annotations

import zlib

import numpy as np

from vla_mbpo_ros.schema import Frame, ImageArray

_SPACING = 8  # every eighth row and column: the noise of a living camera is everywhere
_NS = 1e9


def digest(image: ImageArray) -> int:
    """Of a sample of the pixels; a VGA frame costs about 20 microseconds."""
    return zlib.crc32(np.ascontiguousarray(image[::_SPACING, ::_SPACING]).data)


class FrozenFrameDetector:
    """Told of every frame on arrival, it says what is wrong, or "".

    `pixels=False` looks at stamps only: a simulated camera before a still scene rightly sends equal pictures.
    """

    def __init__(self, name: str, max_age_s: float, pixels: bool = True) -> None:
        self._name, self._pixels = name, pixels
        self._max_age_ns = round(max_age_s * _NS)
        self._digest: int | None = None
        self._changed_ns = 0  # graph time when the picture last changed
        self._arrived_ns: int | None = None
        self._stamp_ns: int | None = None
        self._same_stamp = False

    def see(self, frame: Frame, now_ns: int) -> str:
        self._same_stamp = frame.stamp_ns == self._stamp_ns
        self._stamp_ns, self._arrived_ns = frame.stamp_ns, now_ns
        value = digest(frame.image) if self._pixels else frame.stamp_ns
        if value != self._digest:
            self._digest, self._changed_ns = value, now_ns
        return self.problem(now_ns)

    def problem(self, now_ns: int) -> str:
        """What is wrong now; to be asked also when no frame comes. Empty before the first frame."""
        if self._arrived_ns is None:
            return ""
        silent_ns, same_ns = now_ns - self._arrived_ns, now_ns - self._changed_ns
        if silent_ns > self._max_age_ns:
            return self._sentence(f"sent no frame for {silent_ns / _NS:.1f} s")
        if self._same_stamp:
            return self._sentence("is frozen: two frames have the same stamp")
        if same_ns > self._max_age_ns:
            return self._sentence(f"is frozen: the same picture for {same_ns / _NS:.1f} s")
        return ""

    def _sentence(self, what: str) -> str:
        return f"Camera '{self._name}' {what}. Check its cable and driver, then restart camera_node."
