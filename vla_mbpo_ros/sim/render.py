"""Pictures of a MuJoCo scene without a screen.

A GPU's or Mesa's EGL is taken if it really works, else OSMesa; the environment variable MUJOCO_GL ("egl",
"osmesa" or "glfw") decides otherwise. The choice is tried in another process, because a Python process that
has loaded one of them cannot change to the other.
"""

from __future__ import annotations

import atexit
import importlib
import os
import subprocess
import sys
import weakref
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np

from vla_mbpo_ros.errors import ConfigError, MissingDependency
from vla_mbpo_ros.schema import ImageArray

BACKENDS = ("egl", "osmesa", "glfw")
_PROBE = "from mujoco.{name} import GLContext; c = GLContext(8, 8); c.make_current(); c.free()"
_PROBE_TIMEOUT_S = 60.0
_MAX_GEOMS = 1000


@lru_cache(maxsize=1)
def backend() -> str:
    """The OpenGL in use. Child processes inherit the choice through MUJOCO_GL."""
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    if asked and asked not in BACKENDS:
        raise ConfigError(f"MUJOCO_GL is '{asked}'.", f"Set it to one of {', '.join(BACKENDS)}, or unset it.")
    name = asked or _first_that_works()
    os.environ["MUJOCO_GL"] = name
    return name


class Renderer:
    """Makes images of one model. One context serves every size; it grows when a larger image is asked for."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._option, self._scene = mujoco.MjvOption(), mujoco.MjvScene(model, maxgeom=_MAX_GEOMS)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._gl: Any = _make_gl(model.vis.global_.offwidth, model.vis.global_.offheight)
        with _current(self._gl):
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        atexit.register(self._free)  # at exit it must come before MuJoCo's own end of EGL: last in, first out

    def render(self, data: Any, camera_id: int, width: int, height: int) -> ImageArray:
        """(height, width, 3) RGB, the first row on top. Positions in `data` must be up to date."""
        self._camera.fixedcamid = camera_id
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        view = mujoco.MjrRect(0, 0, width, height)
        image = np.empty((height, width, 3), dtype=np.uint8)
        with _current(self._gl):
            self._grow(width, height)
            mujoco.mjr_render(view, self._scene, self._context)
            mujoco.mjr_readPixels(image, None, view, self._context)
        return np.ascontiguousarray(image[::-1])  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free what the graphics library holds; the renderer is of no use afterwards."""
        self._free()

    def _grow(self, width: int, height: int) -> None:
        have_width, have_height = self._context.offWidth, self._context.offHeight
        if width > have_width or height > have_height:
            mujoco.mjr_resizeOffscreen(max(width, have_width), max(height, have_height), self._context)


def _current(gl: Any) -> AbstractContextManager[None]:
    """Makes `gl` current; since MuJoCo 4 it is released afterwards, so that another thread may use it."""
    if hasattr(gl, "as_current"):
        return gl.as_current()  # type: ignore[no-any-return]
    gl.make_current()
    return nullcontext()


def _free(gl: Any, context: Any) -> None:
    with _current(gl):
        context.free()
    gl.free()


def _make_gl(width: int, height: int) -> Any:
    name = backend()
    try:
        return importlib.import_module(f"mujoco.{name}").GLContext(width, height)
    except Exception as error:  # what a missing library raises differs between the three
        raise _no_opengl(f"{name}: {error}") from error


def _first_that_works() -> str:
    reasons = []
    for name in ("egl", "osmesa"):
        reason = _probe(name)
        if not reason:
            return name
        reasons.append(f"{name}: {reason}")
    raise _no_opengl("; ".join(reasons))


def _probe(name: str) -> str:
    """Empty if a context could be made, else the last line of what went wrong."""
    environment = {**os.environ, "MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
    command = [sys.executable, "-c", _PROBE.format(name=name)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_TIMEOUT_S:.0f} s"
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return "" if done.returncode == 0 else lines[-1]


def _no_opengl(reason: str) -> MissingDependency:
    return MissingDependency(
        f"The simulator cannot make pictures ({reason}).",
        "Install a software OpenGL: apt-get install libegl1 libgl1-mesa-dri libgles2 (or libosmesa6).",
    )
