"""Where gripper and things of the tabletop are in a picture, by their colours: in pixels, true and imagined alike.

    thing      the middle of the largest patch of its colour: enough chroma, and the direction of it, which shade and
               light change little
    gripper    the lowest end of the lowest dark patch that touches neither the left nor the right edge: the fingertips

    error of a dream = distance between where a thing is in the dream and where it is in the true picture

Both are found in the same way, so what hides a part of a thing, or a bias of the method, is in both. The simulator's
projection (`true_places`) says how good the method is; `plate` is left out, for white is the table's and the arm's too.

For the head camera. The fingers open towards it, so the tip that is found is the nearer one's, and it comes down by
about four pixels when they open: errors are those of position, height and opening together. The wrist camera moves with
the gripper and sees two fingers side by side: what is found as the gripper there says nothing, things do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError, UnknownName
from vla_mbpo_ros.schema import FloatArray, ImageArray, Intrinsics
from vla_mbpo_ros.sim.camera import Pose, project
from vla_mbpo_ros.sim.tabletop.layout import SCENES, layout
from vla_mbpo_ros.sim.tabletop.model import FINGERS
from vla_mbpo_ros.sim.tabletop.world import World

GRIPPER = "gripper"
# in a picture of 64x64; in a larger one they grow
LEAST_PIXELS = 4  # fewer are an edge or a reflection
_TIP_ROWS = 3  # of the gripper's patch that count
_SIDE = 64
_LEAST_CHROMA, _LEAST_SHARE = 0.08, 0.3  # distance from grey, range 0 to 1; as a share of the brightest channel
_LIKENESS = 0.93  # cosine of the angle between two chroma directions
_DARK, _GREY = 0.29, 0.06  # brightest channel of a gripper's pixel; its chroma
_NO_COLOUR = ("table", "plate")
_JITTERS = 64  # looks that are averaged to a thing's own colour
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """A thing in a picture."""

    column: float
    row: float
    pixels: int

    def distance(self, other: Found) -> float:
        """Pixels."""
        return math.hypot(self.column - other.column, self.row - other.row)


@dataclass(frozen=True)
class PlaceErrors:
    """Of one thing over many pictures."""

    thing: str
    errors: FloatArray  # (n,) pixels, where it is in both
    lost: int  # in the truth only: erased by the dream
    made_up: int  # in the dream only

    @property
    def seen(self) -> int:
        """Pictures in which it truly is."""
        return len(self.errors) + self.lost

    @property
    def median(self) -> float:
        return float(np.median(self.errors)) if len(self.errors) else math.nan

    def __str__(self) -> str:
        p90 = float(np.quantile(self.errors, 0.9)) if len(self.errors) else math.nan
        return (
            f"{self.thing}: {self.median:.2f} pixels off (median; p90 {p90:.2f}), "
            f"lost {self.lost} of {self.seen}, made up {self.made_up}"
        )


def things_of(scene: str) -> tuple[str, ...]:
    """What can be found in a scene's pictures."""
    return (GRIPPER, *_colours(scene))


def find(image: ImageArray, scene: str) -> dict[str, Found]:
    """Thing -> where it is in (H, W, 3); without those that are not seen."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ContractError(f"A picture {image.shape} {image.dtype}.", "Give (H, W, 3) uint8.")
    scale = image.shape[0] / _SIDE
    least = max(LEAST_PIXELS, round(LEAST_PIXELS * scale**2))
    masks = {name: max(_patches(mask), key=np.sum, default=mask) for name, mask in _coloured(image, scene).items()}
    masks[GRIPPER] = _tip(_dark(image), least, max(round(_TIP_ROWS * scale), 1))
    return {name: _middle(mask) for name, mask in masks.items() if mask.sum() >= (1 if name == GRIPPER else least)}


def place_errors(truth: ImageArray, made: ImageArray, scene: str) -> dict[str, PlaceErrors]:
    """Over pictures (n, H, W, 3) of one view."""
    if truth.shape != made.shape:
        raise ContractError(f"Pictures {truth.shape} and {made.shape}.", "Give a dream for each truth.")
    pairs = [(find(a, scene), find(b, scene)) for a, b in zip(truth, made, strict=True)]
    result = {}
    for thing in things_of(scene):
        both = [a[thing].distance(b[thing]) for a, b in pairs if thing in a and thing in b]
        lost = sum(thing in a and thing not in b for a, b in pairs)
        made_up = sum(thing in b and thing not in a for a, b in pairs)
        result[thing] = PlaceErrors(thing, np.array(both), lost, made_up)
    return result


def true_places(world: World, camera: str, width: int, height: int) -> dict[str, Found]:
    """Where the middles of things and the fingertip that is lowest in the picture are now, whatever hides them."""
    world.refresh()
    index, data = world.camera_id(camera), world.data
    focal = height / 2.0 / math.tan(math.radians(float(world.model.cam_fovy[index])) / 2.0)
    lens = Intrinsics(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)
    # MuJoCo's cameras look along -z with y up
    pose = Pose(data.cam_xpos[index].copy(), data.cam_xmat[index].reshape(3, 3) @ np.diag((1.0, -1.0, -1.0)))
    points = {name: np.array(thing.position) for name, thing in world.state().things.items()}
    pixels = {name: project(point, lens, pose) for name, point in points.items() if name in things_of(world.task.scene)}
    pixels[GRIPPER] = max((project(_end(world, name), lens, pose) for name in FINGERS), key=lambda at: float(at[1]))
    inside = {name: at for name, at in pixels.items() if 0 <= at[0] < width and 0 <= at[1] < height}
    return {name: Found(float(at[0]), float(at[1]), 0) for name, at in inside.items()}


def _end(world: World, finger: str) -> FloatArray:
    """(3,) m, the middle of a finger's lower face."""
    geom = int(world.model.geom(finger).id)
    down = -world.data.geom_xmat[geom].reshape(3, 3)[:, 2]
    return np.asarray(world.data.geom_xpos[geom] + float(world.model.geom_size[geom, 2]) * down)


@lru_cache(maxsize=8)
def _colours(scene: str) -> Mapping[str, FloatArray]:
    """Thing -> (3,) the direction of its chroma. The jitter of looks is even around a thing's own colour."""
    if scene not in SCENES:
        raise UnknownName("scene of the tabletop", scene, SCENES)
    looks = [layout(scene, seed).colors for seed in range(_JITTERS)]
    own = {name: np.mean([each[name] for each in looks], axis=0) for name in looks[0] if name not in _NO_COLOUR}
    return {name: _chroma(colour) / np.linalg.norm(_chroma(colour)) for name, colour in own.items()}


def _chroma(colour: FloatArray) -> FloatArray:
    """(…, 3) without its grey."""
    return np.asarray(colour - colour.mean(axis=-1, keepdims=True))


def _coloured(image: ImageArray, scene: str) -> dict[str, BoolArray]:
    """A pixel belongs to the thing that it is most like."""
    colours, pixels = _colours(scene), image.astype(np.float64) / 255.0
    chroma = _chroma(pixels)
    strength = np.linalg.norm(chroma, axis=-1)
    enough = (strength > _LEAST_CHROMA) & (strength > _LEAST_SHARE * pixels.max(axis=-1))
    like = np.stack([chroma @ colour for colour in colours.values()], axis=-1) / np.maximum(strength, 1e-9)[..., None]
    best, enough = like.argmax(axis=-1), enough & (like.max(axis=-1) > _LIKENESS)
    return {name: enough & (best == index) for index, name in enumerate(colours)}


def _dark(image: ImageArray) -> BoolArray:
    pixels = image.astype(np.float64) / 255.0
    return np.asarray((pixels.max(axis=-1) < _DARK) & (np.linalg.norm(_chroma(pixels), axis=-1) < _GREY))


def _tip(mask: BoolArray, least: int, rows: int) -> BoolArray:
    """The last rows of the patch that reaches down furthest; the base stands at an edge, or higher up."""
    inner = [patch for patch in _patches(mask) if patch.sum() >= least and not (patch[:, 0] | patch[:, -1]).any()]
    if not inner:
        return np.zeros_like(mask)
    patch = max(inner, key=_lowest)
    patch[: _lowest(patch) + 1 - rows] = False
    return patch


def _lowest(patch: BoolArray) -> int:
    return int(np.flatnonzero(patch.any(axis=1))[-1])


def _patches(mask: BoolArray) -> list[BoolArray]:
    """Each patch of neighbours, as a mask."""
    left, patches = mask.copy(), []
    while left.any():
        seed = np.zeros_like(mask)
        seed.flat[int(left.argmax())] = True
        patches.append(_grown(seed, left))
        left &= ~patches[-1]
    return patches


def _grown(patch: BoolArray, within: BoolArray) -> BoolArray:
    """All of `within` that can be reached from `patch`, step by step up, down, left and right."""
    while True:
        wide = patch.copy()
        wide[1:] |= patch[:-1]
        wide[:-1] |= patch[1:]
        wide[:, 1:] |= patch[:, :-1]
        wide[:, :-1] |= patch[:, 1:]
        wide &= within
        if wide.sum() == patch.sum():
            return patch
        patch = wide


def _middle(mask: BoolArray) -> Found:
    rows, columns = np.nonzero(mask)
    return Found(float(columns.mean()), float(rows.mean()), len(rows))
