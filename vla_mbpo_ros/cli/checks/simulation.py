"""MuJoCo, and whether it can really draw: each OpenGL backend renders one picture in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from vla_mbpo_ros.cli.checks.check import Check, probe, version_of

_BACKENDS = {
    "egl": "`apt-get install libegl1` (on a GPU its driver brings it).",
    "osmesa": "`apt-get install libosmesa6`.",
    "glfw": "Needs a display; without one use egl or osmesa.",
}
_RENDER = """
import mujoco
world = '<light pos="0 0 2"/><geom type="sphere" size="1" rgba="1 0 0 1"/>'
model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{world}</worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    brightest = int(renderer.render().max())
assert brightest > 0, "the picture is black"
print("renders")
"""


def checks() -> Iterator[Check]:
    version = version_of("mujoco")
    cure = "" if version else "`make setup`, or `pip install mujoco`."
    yield Check("MuJoCo", bool(version), version or "not installed", cure, required=True)
    if not version:
        return
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = dict(zip(_BACKENDS, pool.map(_renders, _BACKENDS), strict=True))
    for backend, (ok, found) in results.items():
        yield Check(f"MuJoCo with {backend}", ok, found, "" if ok else _BACKENDS[backend])
    yield _rendering({backend: ok for backend, (ok, _) in results.items()})


def _renders(backend: str) -> tuple[bool, str]:
    return probe(_RENDER, MUJOCO_GL=backend)


def _rendering(works: dict[str, bool]) -> Check:
    """The backend that would be used now: MUJOCO_GL, or MuJoCo's own choice."""
    chosen = os.environ.get("MUJOCO_GL", "").lower()
    able = [backend for backend, ok in works.items() if ok]
    if chosen:
        ok = works.get(chosen, False)
        cure = "" if ok else f"Set MUJOCO_GL to {able[0]}." if able else "See the backends above."
        return Check("simulated cameras", ok, f"MUJOCO_GL={chosen}", cure, required=True)
    found = f"will use {able[0]}" if able else "no backend works"
    return Check("simulated cameras", bool(able), found, "" if able else "See the backends above.", required=True)
