"""What a seed decides, as pure functions of (scene, seed): places, looks, and the chance in the dynamics.

Places, looks and chance are drawn from streams of their own, so `slip` and `luck` change neither places nor looks.

    slip   0 nothing is left to chance · 1 as much as there is, none of it to be seen beforehand:
           the drive goes up to 30 % slower than it was told, anew for each axis every quarter of a second;
           friction of table and fingers x [1/1.8, 1.8], mass x [1/2, 2];
           in what is pushed a weight that lies up to 12 mm off its middle
    luck   which chance it is: 0 is the seed's own, others give other futures of the same start
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray

SCENES = ("buttons", "push", "cubes", "place")
DEFAULT_SLIP = 0.5

_COLORS: Mapping[str, tuple[float, float, float]] = {
    "red_button": (0.86, 0.10, 0.08),
    "blue_button": (0.08, 0.22, 0.88),
    "block": (0.10, 0.62, 0.66),
    "yellow_zone": (0.96, 0.80, 0.10),
    "purple_zone": (0.52, 0.16, 0.62),
    "red_cube": (0.86, 0.10, 0.08),
    "green_cube": (0.10, 0.62, 0.18),
    "cube": (0.95, 0.45, 0.05),
    "plate": (0.95, 0.95, 0.96),
    "bowl": (0.14, 0.24, 0.46),
}
_TABLE = (0.76, 0.70, 0.62)
_COLOR_JITTER, _TABLE_JITTER = 0.05, 0.07
_DRAG, _DRAG_PARTS = 0.3, 64  # at most; drawn so many times before it repeats
DRAG_TICKS = 5  # control steps with one drag
_START_JITTER = np.array([0.03, 0.04, 0.02, 0.0, 0.0, 0.15])  # m, rad: of the tool's start

# thing -> half width of where its centre may lie along x and y
_REACH: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "buttons": {"red_button": (0.10, 0.14), "blue_button": (0.10, 0.14)},
    "cubes": {"red_cube": (0.10, 0.14), "green_cube": (0.10, 0.14)},
    "place": {"cube": (0.10, 0.15), "plate": (0.10, 0.15), "bowl": (0.10, 0.15)},
}
# least distance of centres: hands and fingers fit between, and nothing lies on another
_APART = {"buttons": 0.12, "cubes": 0.125, "place": 0.14}


@dataclass(frozen=True)
class Place:
    """Where a thing stands on the table."""

    x: float  # m
    y: float  # m
    yaw: float  # rad


@dataclass(frozen=True)
class Layout:
    """All that a seed decides for one scene."""

    start: FloatArray  # (6,) x y z [m], rx ry rz [rad] of the tool
    places: Mapping[str, Place]
    colors: Mapping[str, FloatArray]  # thing or "table" -> (3,) RGB in [0, 1]
    sun: FloatArray  # (3,) direction of the light
    brightness: float
    friction: float  # of the table, factor
    grip: float  # friction of the fingers, factor
    mass: float  # factor
    lopsided: FloatArray  # (2,) m, the centre of mass of what is pushed, from its middle
    drive: FloatArray  # (64, 3) share of the x, y, z speed asked for that is reached, by the DRAG_TICKS


def layout(scene: str, seed: int, slip: float = DEFAULT_SLIP, luck: int = 0) -> Layout:
    """The same for the same arguments, on every machine."""
    if seed < 0 or luck < 0:
        raise ContractError(f"The seed of a layout is {seed}, its luck {luck}.", "Give whole numbers from 0 on.")
    if not 0.0 <= slip <= 1.0:
        raise ContractError(f"slip is {slip}.", "Give a number from 0 (no chance) to 1.")
    places, looks, chance = (
        np.random.default_rng((seed, SCENES.index(scene), *stream)) for stream in ((0,), (1,), (2, luck))
    )
    start = TABLETOP.home[:6] + places.uniform(-1.0, 1.0, 6) * _START_JITTER
    spots = _push_places(places) if scene == "push" else _scattered(scene, places)
    log = chance.uniform(-1.0, 1.0, 3) * slip
    return Layout(
        start=start,
        places=spots,
        colors=_colors(tuple(spots), looks),
        sun=np.array([*looks.uniform(-0.5, 0.5, 2), -1.0]),
        brightness=float(looks.uniform(0.8, 1.15)),
        friction=float(1.8 ** log[0]),
        grip=float(1.8 ** log[1]),
        mass=float(2.0 ** log[2]),
        lopsided=chance.uniform(-0.012, 0.012, 2) * slip,
        drive=1.0 - _DRAG * slip * chance.uniform(0.0, 1.0, (_DRAG_PARTS, 3)),
    )


def _scattered(scene: str, random: np.random.Generator) -> dict[str, Place]:
    """Anywhere within reach, none too near to another."""
    reach, apart = _REACH[scene], _APART[scene]
    while True:
        spots = {
            name: Place(float(random.uniform(-x, x)), float(random.uniform(-y, y)), float(random.uniform(-0.35, 0.35)))
            for name, (x, y) in reach.items()
        }
        if all(np.hypot(a.x - b.x, a.y - b.y) >= apart for a, b in combinations(spots.values(), 2)):
            return spots


def _push_places(random: np.random.Generator) -> dict[str, Place]:
    """The block near the middle, a zone to either side; which colour is where is a matter of the seed too."""
    side = float(random.choice((-1.0, 1.0)))
    zones = {
        name: Place(float(random.uniform(-0.05, 0.05)), sign * float(random.uniform(0.12, 0.15)), 0.0)
        for name, sign in (("yellow_zone", side), ("purple_zone", -side))
    }
    x, y = (float(value) for value in random.uniform(-0.035, 0.035, 2))
    block = Place(x, y, float(random.uniform(-0.25, 0.25)))
    return {"block": block, **zones}


def _colors(names: tuple[str, ...], random: np.random.Generator) -> dict[str, FloatArray]:
    def near(color: tuple[float, float, float], jitter: float) -> FloatArray:
        return np.clip(np.array(color) + random.uniform(-jitter, jitter, 3), 0.0, 1.0)

    colors = {name: near(_COLORS[name], _COLOR_JITTER) for name in names}
    return {**colors, "table": near(_TABLE, _TABLE_JITTER)}
