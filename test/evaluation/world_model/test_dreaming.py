"""Dreams are rolled on themselves, and stand beside what truly happened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.world_model.dreaming import one_chunk, roll, shuffled
from vla_mbpo_ros.evaluation.world_model.fidelity import fidelity
from vla_mbpo_ros.evaluation.world_model.held_out import HeldOut
from vla_mbpo_ros.world_model.protocol import WorldModel


def test_the_simulator_dreams_what_happens(held: HeldOut, oracle: WorldModel) -> None:
    rolled = roll(oracle, held.journeys, held.windows)
    np.testing.assert_array_equal(rolled.made, rolled.truth)
    np.testing.assert_array_equal(rolled.said == 1.0, rolled.done)
    ends = held.journeys.start[held.windows] + 1
    np.testing.assert_array_equal(rolled.truth, held.journeys.images[ends])
    assert rolled.done.any()
    assert not rolled.done.all()
    assert not rolled.live.all()
    assert rolled.chunk_s > 0.0


def test_who_copies_keeps_the_first_picture_for_ever(held: HeldOut, copy_last: WorldModel) -> None:
    rolled = roll(copy_last, held.journeys, held.windows)
    for chunk in range(4):
        np.testing.assert_array_equal(rolled.made[:, chunk], rolled.first)
    assert np.isnan(rolled.said).all()


def test_a_later_dream_goes_on_from_the_one_before(held: HeldOut, oracle: WorldModel) -> None:
    acted = held.journeys.chunks[held.windows].copy()
    acted[:, 0] = acted[:, 1]  # another first chunk: what comes later starts elsewhere
    other = roll(oracle, held.journeys, held.windows, acted=acted)
    assert (other.made[:, 3] != other.truth[:, 3]).any()


def test_single_chunks_begin_at_real_pictures(held: HeldOut, oracle: WorldModel) -> None:
    rolled = one_chunk(oracle, held.journeys, held.single)
    assert rolled.chunks == 1
    np.testing.assert_array_equal(rolled.first, held.journeys.images[held.journeys.start[held.single]])
    np.testing.assert_array_equal(rolled.made, rolled.truth)
    assert rolled.live.all()


def test_shuffled_chunks_are_another_windows_of_the_same_task(held: HeldOut) -> None:
    acted, own = shuffled(held.journeys, held.windows), held.journeys.chunks[held.windows]
    tasks = [held.journeys.tasks[index] for index in held.journeys.episode[held.journeys.start[held.windows[:, 0]]]]
    for row, chunks in enumerate(acted):
        source = [other for other in range(len(own)) if np.array_equal(own[other], chunks)]
        assert source != [row]
        assert {tasks[other] for other in source} == {tasks[row]}
    with pytest.raises(ContractError, match="no other to swap"):
        shuffled(held.journeys, held.windows[:1])


def test_fidelity_knows_a_perfect_dream_and_where_a_copy_errs(
    held: HeldOut, oracle: WorldModel, copy_last: WorldModel
) -> None:
    perfect = fidelity(roll(oracle, held.journeys, held.windows))
    copied = fidelity(roll(copy_last, held.journeys, held.windows))
    for view in (0, 1):
        assert perfect.of("ssim", view).value == pytest.approx(1.0)
        assert perfect.of("psnr", view).value > 60.0
        assert copied.of("changed_psnr", view).value < copied.of("psnr", view).value < 35.0
        assert copied.of("psnr", view, 3).value < copied.of("psnr", view, 0).value  # it grows older
        found = copied.of("psnr", view)
        assert found.low < found.value < found.high
        assert found.groups == len(held.journeys.tasks)
    assert copied.to_json()["head"]["lpips"] == "not computed"


def test_changed_pixels_are_those_that_differ_from_the_first_picture(held: HeldOut, copy_last: WorldModel) -> None:
    rolled = roll(copy_last, held.journeys, held.windows)
    mended = np.where(
        np.abs(rolled.truth.astype(int) - rolled.first[:, None]).max(-1, keepdims=True) > 12, rolled.truth, 0
    ).astype(np.uint8)  # right where something changed, black elsewhere
    assert fidelity(replace(rolled, made=mended)).of("changed_psnr", 0).value > 60.0
