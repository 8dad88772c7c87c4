from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import mujoco
import numpy as np
import pytest

from vla_mbpo_ros.errors import ConfigError, MissingDependency, UnknownName
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim import render
from vla_mbpo_ros.sim.camera import project
from vla_mbpo_ros.sim.tasks.pick_place import CUBE_HALF_M, PAD_THICK_M, places
from vla_mbpo_ros.sim.twin import Twin


@pytest.fixture
def fresh_choice() -> Iterator[None]:
    """The choice of OpenGL is made anew in the test and again after it."""
    render.backend.cache_clear()
    yield
    render.backend.cache_clear()


@pytest.mark.parametrize(("width", "height"), [(64, 64), (160, 120), (641, 481)])
@pytest.mark.parametrize("seed", range(4))
def test_the_head_image_shows_the_cube_where_geometry_says(twin: Twin, seed: int, width: int, height: int) -> None:
    """Any flip, mirror or swapped side would put it elsewhere."""
    twin.reset(seed)
    cube = np.array([*places(seed).cube_xy, CUBE_HALF_M])
    pixel = project(cube, twin.camera_intrinsics("head", width, height), twin.camera_pose("head"))
    seen = _middle_of_red(twin.render("head", width, height))
    np.testing.assert_allclose(seen, pixel, atol=0.5 + 0.002 * width)


@pytest.mark.parametrize("camera", ["left_wrist", "right_wrist", "overview"])
def test_the_other_cameras_show_the_pad_where_geometry_says(twin: Twin, camera: str) -> None:
    seen = 0
    for seed in range(8):
        twin.reset(seed)
        pad = np.array([*places(seed).pad_xy, PAD_THICK_M])
        pixel = project(pad, twin.camera_intrinsics(camera, 160, 120), twin.camera_pose(camera))
        column, row = (round(float(value)) for value in pixel)
        if 0 <= column < 160 and 0 <= row < 120:
            colour = twin.render(camera, 160, 120)[row, column]
            assert _is_green(colour) or colour.max() < 60  # a dark finger stands before it
            seen += int(_is_green(colour))
    assert seen >= 2


def test_a_wrist_camera_moves_with_its_hand(twin: Twin) -> None:
    before = twin.camera_pose("left_wrist").position, twin.camera_pose("right_wrist").position
    target = np.array(twin.robot.home)
    target[twin.robot.names.index("left_joint1")] = 0.4
    for _ in range(10):
        twin.step(target)
    assert np.linalg.norm(twin.camera_pose("left_wrist").position - before[0]) > 0.05
    np.testing.assert_allclose(twin.camera_pose("right_wrist").position, before[1], atol=1e-6)


def test_images_are_rgb_arrays_of_the_size_asked_for(twin: Twin) -> None:
    for width, height in [(64, 64), (640, 480), (96, 32), (800, 600)]:  # larger than the first buffer, too
        image = twin.render("head", width, height)
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous


def test_a_picture_changes_nothing_and_is_the_same_twice(twin: Twin) -> None:
    before = twin.snapshot()
    first, second = twin.render("head", 64, 64), twin.render("head", 64, 64)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(before.physics, twin.snapshot().physics)


@pytest.mark.skipif(mujoco.mj_version() < 4_000_000, reason="MuJoCo before 4 keeps a context with its thread")
def test_another_thread_may_take_the_next_picture(twin: Twin) -> None:
    here = twin.render("head", 64, 64)
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(twin.render, "head", 64, 64).result()
    np.testing.assert_array_equal(here, there)


def test_an_unknown_camera_is_refused_with_the_nearest_name(twin: Twin) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'left_wrist'"):
        twin.render("left_wirst", 64, 64)


@pytest.mark.usefixtures("fresh_choice")
def test_without_any_opengl_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(render, "_probe", lambda name: f"no {name} here")
    with pytest.raises(MissingDependency, match=r"no egl here; .*no osmesa here.*libegl1 .*libgles2 .*libosmesa6"):
        render.backend()


@pytest.mark.usefixtures("fresh_choice")
def test_osmesa_serves_where_egl_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(render, "_probe", lambda name: "broken" if name == "egl" else "")
    assert render.backend() == "osmesa"


@pytest.mark.usefixtures("fresh_choice")
def test_an_opengl_that_cannot_serve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(ConfigError, match="egl, osmesa, glfw"):
        render.backend()


def _middle_of_red(image: ImageArray) -> FloatArray:
    wide = image.astype(float)
    rows, columns = np.nonzero(wide[..., 0] > 1.8 * np.maximum(wide[..., 1], wide[..., 2]) + 10)
    return np.array([columns.mean(), rows.mean()])


def _is_green(pixel: ImageArray) -> bool:
    red, green, blue = (float(value) for value in pixel)
    return green > 1.5 * max(red, blue)
