from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError, MissingDependency, UnknownName
from vla_mbpo_ros.evaluation.positions import GRIPPER, find, place_errors, things_of, true_places
from vla_mbpo_ros.sim.tabletop import to_command
from vla_mbpo_ros.sim.tabletop.world import World

TABLE, RED, BLUE, DARK = (195, 180, 160), (200, 25, 20), (20, 55, 210), (16, 16, 18)
# about 7 mm each. A button's place is the top of its cap, a bowl's its foot; of a finger the last three rows are seen
_PIXELS = {GRIPPER: 1.5, "red_button": 2.4, "blue_button": 2.4, "bowl": 2.0}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    world.begin("lift_red", 0)
    try:
        world.render("head", 16, 16)
    except MissingDependency as error:
        pytest.skip(str(error))
    yield world
    world.close()


def _table() -> np.ndarray:
    return np.full((64, 64, 3), TABLE, np.uint8)


def _put(image: np.ndarray, color: tuple[int, int, int], column: int, row: int, half: int = 2) -> np.ndarray:
    image[row - half : row + half + 1, column - half : column + half + 1] = color
    return image


def test_painted_things_are_found_in_their_middle() -> None:
    image = _put(_put(_table(), RED, 20, 30), BLUE, 41, 50, half=1)
    found = find(image, "buttons")
    assert set(found) == {"red_button", "blue_button"}
    assert (found["red_button"].column, found["red_button"].row, found["red_button"].pixels) == (20.0, 30.0, 25)
    assert (found["blue_button"].column, found["blue_button"].row) == (41.0, 50.0)


def test_the_gripper_is_the_lowest_dark_end_and_not_the_base() -> None:
    image = _table()
    image[0:14, 25:40] = DARK  # the base, larger and higher up
    image[18:31, 44:47] = DARK  # the hand
    image[30:40, 0:3] = DARK  # something at the edge
    tip = find(image, "buttons")[GRIPPER]
    assert (tip.column, tip.row) == (45.0, 29.0)  # the last three rows are 28 to 30


def test_specks_are_nothing_and_of_two_patches_the_larger_counts() -> None:
    image = _put(_put(_put(_table(), RED, 20, 30), RED, 50, 50, half=1), BLUE, 40, 10, half=0)
    found = find(image, "buttons")
    assert "blue_button" not in found
    assert found["red_button"].column == 20.0


def test_errors_lost_and_made_up_things_are_told_apart() -> None:
    truth = np.stack([_put(_table(), RED, 20, 30), _put(_table(), RED, 20, 30), _table()])
    made = np.stack([_put(_table(), RED, 23, 34), _table(), _put(_table(), BLUE, 9, 9)])
    errors = place_errors(truth, made, "buttons")
    red, blue = errors["red_button"], errors["blue_button"]
    assert (red.errors.tolist(), red.lost, red.made_up, red.seen) == ([5.0], 1, 0, 2)
    assert (blue.errors.tolist(), blue.lost, blue.made_up) == ([], 0, 1)
    assert "5.00 pixels off" in str(red)
    assert "lost 1 of 2" in str(red)


def test_what_is_no_picture_or_scene_is_refused() -> None:
    with pytest.raises(UnknownName, match="button"):
        things_of("button")
    with pytest.raises(ContractError, match="uint8"):
        find(_table().astype(np.float32), "buttons")
    with pytest.raises(ContractError, match="for each truth"):
        place_errors(_table()[None], np.stack([_table()] * 2), "buttons")


@pytest.mark.parametrize("grip", [-1.0, 1.0], ids=["open", "closed"])
@pytest.mark.parametrize("task", ["press_red", "push_yellow", "lift_red", "place_bowl"])
def test_in_the_simulator_s_pictures_things_are_where_it_says(world: World, task: str, grip: float) -> None:
    offsets: dict[str, list[float]] = {}
    for seed in range(8):
        world.begin(task, seed)
        for step in range(12):
            world.step(to_command(np.array([0.4, 0.5 * (-1) ** seed, -0.3 - 0.02 * step, 0, 0, 0, grip])))
        found, true = find(world.render("head", 64, 64), world.task.scene), true_places(world, "head", 64, 64)
        for thing in set(found) & set(true):
            offsets.setdefault(thing, []).append(found[thing].distance(true[thing]))
    assert set(offsets) == set(things_of(world.task.scene))
    for thing, distances in offsets.items():
        assert len(distances) >= 7, f"{thing} is seldom seen"
        assert np.median(distances) < _PIXELS.get(thing, 0.7), thing


def test_a_larger_picture_finds_the_same_places(world: World) -> None:
    world.begin("lift_green", 3)
    small, large = (find(world.render("head", side, side), "cubes") for side in (64, 256))
    assert set(small) == set(large) == set(things_of("cubes"))
    for thing in small:
        assert (large[thing].column + 0.5) / 4.0 == pytest.approx(small[thing].column + 0.5, abs=1.2)
