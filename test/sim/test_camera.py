from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.schema import Intrinsics
from vla_mbpo_ros.sim.camera import look_at, on_plane, project

EYE, TARGET = (-0.1, 0.05, 0.8), (0.3, 0.0, 0.0)
metres = st.floats(-0.3, 0.3)


@given(x=metres, y=metres, z=metres, width=st.integers(16, 640), height=st.integers(16, 480))
def test_the_ray_through_the_pixel_of_a_point_leads_back_to_it(
    x: float, y: float, z: float, width: int, height: int
) -> None:
    camera, pose = Intrinsics.from_fovy(width, height, 0.75), look_at(EYE, TARGET)
    point = np.array([x, y, z])
    np.testing.assert_allclose(on_plane(project(point, camera, pose), z, camera, pose), point, atol=1e-9)


def test_what_is_looked_at_is_in_the_middle_of_the_image() -> None:
    camera = Intrinsics.from_fovy(64, 48, 0.75)
    middle = project(np.array(TARGET), camera, look_at(EYE, TARGET))
    np.testing.assert_allclose(middle, [(64 - 1) / 2, (48 - 1) / 2], atol=1e-9)


def test_camera_axes_are_right_handed_with_y_down() -> None:
    rotation = look_at(EYE, TARGET).rotation
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) > 0
    assert rotation[2, 1] < 0


def test_the_field_of_view_spans_the_height() -> None:
    camera = Intrinsics.from_fovy(100, 80, 0.75)
    assert np.isclose(2 * np.arctan(40 / camera.fy), 0.75)
    assert camera.matrix.tolist() == [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
