from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_mbpo_ros.evaluation.world_model.dreaming import roll
from vla_mbpo_ros.evaluation.world_model.held_out import HeldOut
from vla_mbpo_ros.evaluation.world_model.judging import dream_verdict, ends, judge_truth, last_chunks, verdict
from vla_mbpo_ros.world_model.protocol import WorldModel


def test_counts_are_the_known_ones() -> None:
    said = np.array([0.9, 0.8, 0.2, 0.5, 0.1])
    done = np.array([True, False, True, True, False])
    found = verdict(said, done, np.arange(5))
    assert found is not None
    assert [found[name] for name in ("hits", "false_alarms", "missed", "correct_no")] == [2, 1, 1, 1]
    assert found["accuracy"]["value"] == 3 / 5
    assert found["f1"]["value"] == 2 * 2 / (2 * 2 + 1 + 1)
    assert found["f1"]["low"] <= found["f1"]["value"] <= found["f1"]["high"]


def test_who_does_not_judge_has_no_verdict(held: HeldOut, copy_last: WorldModel) -> None:
    assert dream_verdict(roll(copy_last, held.journeys, held.windows)) is None


def test_the_simulator_is_always_right_and_its_contrary_never(
    held: HeldOut, oracle: WorldModel, contrary: WorldModel
) -> None:
    rows = np.flatnonzero(held.journeys.live)
    ends = held.journeys.start[rows] + 1
    for model, right in ((oracle, 1.0), (contrary, 0.0)):
        found = verdict(judge_truth(model, held.journeys, rows), held.journeys.success[ends], ends)
        assert found is not None
        assert found["accuracy"]["value"] == right
        assert found["f1"]["value"] == right


def test_moments_after_the_end_are_not_asked_for(held: HeldOut, oracle: WorldModel) -> None:
    rolled = roll(oracle, held.journeys, held.windows)
    wrong_later = replace(rolled, said=np.where(rolled.live, rolled.said, 1.0 - rolled.said))
    found = dream_verdict(wrong_later)
    assert found is not None
    assert found["accuracy"]["value"] == 1.0
    assert found["accuracy"]["n"] == int(rolled.live.sum()) < rolled.live.size


def test_ends_are_the_last_chunks_that_anybody_asks_about(held: HeldOut, oracle: WorldModel) -> None:
    journeys, rows = held.journeys, last_chunks(held.journeys)
    assert journeys.episode[journeys.start[rows]].tolist() == list(range(len(journeys.tasks)))
    assert journeys.live[rows].all()
    won = [bool(journeys.success[journeys.episode == index].any()) for index in range(len(journeys.tasks))]
    assert journeys.success[journeys.start[rows] + 1].tolist() == won
    assert 0 < sum(won) < len(won)
    found = ends(oracle, journeys)
    assert found["truth"]["f1"]["value"] == found["dreams"]["f1"]["value"] == 1.0
    assert found["dreams"]["hits"] == sum(won)
