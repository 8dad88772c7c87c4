"""Where the cube and the pad are, from the head image alone.

A box is symmetric about its centre, so the centroid of everything that is seen of it, top and sides, lies
where its centre is seen. The ray through that pixel meets the plane at the height of the centre. The twin's
cube is found to 1 mm in images of 320x240 and to 4 mm in 64x64. The pad, larger and flat, seems up to 4 mm
(8 mm) nearer than it is: perspective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.arx_x5.layout import head_intrinsics, head_pose
from vla_mbpo_ros.sim.camera import on_plane
from vla_mbpo_ros.sim.tasks.pick_place import CUBE_HALF_M, PAD_THICK_M

RED, GREEN = 0, 1  # channels
_PURITY = 1.8  # the channel outshines each other by this factor; the wooden table reaches 1.3
_DARKEST = 40  # of 255: below, colours are noise
_MIN_SHARE = 0.0008  # of the image: a third of what a cube covers; less is a cube mostly hidden


@dataclass(frozen=True)
class Blob:
    """The pixels of one colour."""

    centre: FloatArray  # (2,) column, row
    share: float  # of the image


@dataclass(frozen=True)
class Sight:
    """What one look gave, in the world; None is not seen."""

    cube: FloatArray | None  # (3,) m, the centre
    pad: FloatArray | None  # (3,) m, the centre of its top
    pad_share: float = 0.0  # of the image: the more, the less is hidden


def look(head: ImageArray) -> Sight:
    """`head` is (H, W, 3) RGB, the first row on top."""
    cube, pad = find_blob(head, RED), find_blob(head, GREEN)
    return Sight(
        cube=_at_height(cube, CUBE_HALF_M, head),
        pad=_at_height(pad, PAD_THICK_M, head),
        pad_share=0.0 if pad is None else pad.share,
    )


def find_blob(image: ImageArray, channel: int) -> Blob | None:
    """All pixels in which one channel is pure."""
    rows, columns = np.nonzero(_is_pure(image, channel))
    share = rows.size / (image.shape[0] * image.shape[1])
    if share < _MIN_SHARE:
        return None
    return Blob(np.array([columns.mean(), rows.mean()]), share)


def _is_pure(image: ImageArray, channel: int) -> npt.NDArray[np.bool_]:
    wide = image.astype(np.float64)
    others = np.delete(wide, channel, axis=2).max(axis=2)
    return np.asarray((wide[..., channel] >= _DARKEST) & (wide[..., channel] >= _PURITY * others))


def _at_height(blob: Blob | None, height_m: float, image: ImageArray) -> FloatArray | None:
    if blob is None:
        return None
    rows, columns = image.shape[:2]
    return on_plane(blob.centre, height_m, head_intrinsics(columns, rows), head_pose())
