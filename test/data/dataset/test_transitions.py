"""What is in a sample, and that it is what the bag says."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vla_mbpo_ros.data.dataset import DatasetSettings, open_episodes
from vla_mbpo_ros.data.dataset.synthetic import pose, target
from vla_mbpo_ros.data.dataset.transitions import order
from vla_mbpo_ros.data.episodes.observations import JOINTS
from vla_mbpo_ros.data.episodes.reader import CHUNKS, COMMANDS, read_episode
from vla_mbpo_ros.errors import UnknownName

HEAD = "head/color/image_raw"
MakeBag = Callable[..., Path]


def test_a_sample_is_what_the_bag_says(folder: Path, make_bag: MakeBag) -> None:
    path = make_bag("good", outcome="success", success_time_s=1.0)
    episode, samples = read_episode(path), open_episodes(folder, DatasetSettings(k=4)).transitions()
    assert samples.rows.tolist() == list(range(15))  # row 15 is the success itself
    for index in range(len(samples)):
        sample, row = samples[index], int(samples.rows[index])
        assert (sample.row, sample.episode_id, sample.instruction, sample.labelled) == (row, "good", "do it", True)
        for camera in episode.cameras:
            assert np.array_equal(sample.images[camera], episode.image(camera, row))
            assert np.array_equal(sample.next_images[camera], episode.image(camera, row + 4))
        assert np.array_equal(sample.state, pose(row))
        assert np.array_equal(sample.next_state, pose(row + 4))
        assert np.array_equal(sample.action, [target(row + step) for step in range(4)])
        assert (sample.reward, sample.done) == (float(row >= 11), row >= 11)
    with pytest.raises(IndexError, match="15 is none of them"):
        samples[15]
    assert samples[-1].row == 14


def test_the_proposed_chunk_is_laid_over_the_same_steps_and_masked_elsewhere(folder: Path, make_bag: MakeBag) -> None:
    make_bag(replan=4, horizon=6)
    samples = open_episodes(folder, DatasetSettings(k=8)).transitions()
    for sample in (samples[index] for index in range(len(samples))):
        expected = [step < 6 for step in range(8)] if sample.row % 4 == 0 else [False] * 8
        assert sample.proposed_mask.tolist() == expected
        assert np.array_equal(sample.proposed[sample.proposed_mask], sample.action[sample.proposed_mask])
        assert not sample.proposed[~sample.proposed_mask].any()


def test_windows_may_start_at_chunks_only(folder: Path, make_bag: MakeBag) -> None:
    make_bag(replan=5)
    starts = open_episodes(folder, DatasetSettings(k=4, starts="chunks")).transitions()
    assert starts.rows.tolist() == [0, 5, 10, 15]
    assert starts.truncated.tolist() == [False, False, False, True]
    every_second = open_episodes(folder, DatasetSettings(k=4, starts="chunks", stride=2)).transitions()
    assert every_second.rows.tolist() == [0, 10]


def test_at_a_chunk_the_observation_is_what_the_chunk_lists(folder: Path, make_bag: MakeBag) -> None:
    """The policy had an older head image than the bag: its chunk says so."""

    def edit(topic: str, row: int, message: Any) -> Any:
        if topic == CHUNKS and row == 8:
            stamps = dict(zip(message.source_names, message.source_stamps, strict=True))
            for name in ("head", JOINTS):
                stamps[name].nanosec = round(7e9 / 15)  # those of the tick before
        return message

    path = make_bag(edit=edit)
    episode = read_episode(path)
    samples = open_episodes(folder, DatasetSettings(k=4)).transitions()
    assert np.array_equal(samples[8].images["head"], episode.image("head", 7))
    assert np.array_equal(samples[8].images["left_wrist"], episode.image("left_wrist", 8))
    assert np.array_equal(samples[8].state, pose(7))
    assert np.array_equal(samples[4].next_state, pose(7)), "it is the same observation as the next one's first"


def test_who_was_obeyed_is_told_for_each_step(folder: Path, make_bag: MakeBag) -> None:
    def edit(topic: str, row: int, message: Any) -> Any:
        if topic == COMMANDS:
            message.source = "human" if row in (3, 4) else "hold" if row == 0 else "policy"
        return message

    make_bag(edit=edit)
    sample = open_episodes(folder, DatasetSettings(k=6)).transitions()[0]
    assert sample.source == ("hold", "policy", "policy", "human", "human", "policy")
    assert sample.intervened.tolist() == [False, False, False, True, True, False]


def test_images_are_resized_once_by_the_stated_filter(folder: Path, make_bag: MakeBag) -> None:
    path = make_bag()
    sample = open_episodes(folder, DatasetSettings(k=4, size=(10, 14))).transitions()[3]
    raw = Image.fromarray(np.ascontiguousarray(read_episode(path).image("head", 3)))
    assert np.array_equal(sample.images["head"], np.asarray(raw.resize((14, 10), Image.Resampling.BILINEAR)))


def test_some_cameras_may_be_chosen(folder: Path, make_bag: MakeBag) -> None:
    make_bag()
    episodes = open_episodes(folder, DatasetSettings(k=4, cameras=("right_wrist",)))
    assert list(episodes.transitions()[0].images) == ["right_wrist"]
    wrong = open_episodes(folder, DatasetSettings(k=4, cameras=("rihgt_wrist",)))
    assert len(wrong.episodes) == 0
    assert "Unknown camera 'rihgt_wrist'" in next(iter(wrong.report.skipped.values()))


def test_a_bad_image_costs_its_windows_and_never_crashes_a_loader(folder: Path, make_bag: MakeBag) -> None:
    def edit(topic: str, row: int, message: Any) -> Any:
        if topic == HEAD and row == 10:
            message.encoding = "nonsense"
        if topic == HEAD and row == 15:
            message.height, message.step, message.data = 1, message.step, message.data[: message.step]
        return message

    make_bag(edit=edit)
    episodes = open_episodes(folder, DatasetSettings(k=4))
    samples = episodes.transitions()
    bad = {10, 6, 15, 11}
    assert samples.rows.tolist() == [row for row in range(20) if row not in bad]
    assert sum(samples[index].state.size for index in range(len(samples))) == 16 * 14
    assert episodes.report.windows_skipped["a camera has no image at their start or end"] == 4
    assert episodes.report.rows_skipped["images of head that cannot be used"] == 2


def test_the_unknown_outcome_has_no_label(folder: Path, make_bag: MakeBag) -> None:
    make_bag(outcome="unknown")
    assert "Its outcome is unknown." in open_episodes(folder).report.skipped.values()
    episodes = open_episodes(folder, DatasetSettings(outcomes=("unknown",)))
    assert episodes.transitions()[0].labelled is False
    assert len(episodes.reward_samples()) == 0


def test_a_success_that_no_window_reaches_is_reported(folder: Path, make_bag: MakeBag) -> None:
    make_bag("cut", outcome="success", success_time_s=23 / 15, replan=20, horizon=4)
    report = open_episodes(folder, DatasetSettings(k=8, starts="chunks")).report
    assert report.without_success == ["cut"]
    assert any("no window reaches its success" in line for line in report.lines())


def test_a_copy_in_another_process_reads_the_same(folder: Path, make_bag: MakeBag) -> None:
    make_bag()
    samples = open_episodes(folder, DatasetSettings(k=4)).transitions()
    first = samples[5].images["head"].copy()
    data = pickle.dumps(samples)
    assert len(data) < 20_000, "no image travels with it"
    assert np.array_equal(pickle.loads(data)[5].images["head"], first)


@given(count=st.integers(0, 300), seed=st.integers(0, 2**40), epoch=st.integers(0, 50))
def test_an_epoch_has_every_sample_once_in_an_order_of_its_own(count: int, seed: int, epoch: int) -> None:
    one = order(count, seed, epoch)
    assert sorted(one.tolist()) == list(range(count))
    assert np.array_equal(one, order(count, seed, epoch))
    if count > 20:
        assert not np.array_equal(one, order(count, seed, epoch + 1))
        assert not np.array_equal(one, order(count, seed + 1, epoch))


def test_an_unknown_split_is_named(folder: Path, make_bag: MakeBag) -> None:
    make_bag()
    with pytest.raises(UnknownName, match="Did you mean 'train'"):
        open_episodes(folder).transitions("trian")


# -- rewards -----------------------------------------------------------------------------------------------------


def test_images_are_labelled_by_the_time_of_success(folder: Path, make_bag: MakeBag) -> None:
    make_bag("won", outcome="success", success_time_s=1.0)
    make_bag("lost", seed=1)
    samples = open_episodes(folder).reward_samples()
    labels = {(samples[i].episode_id, samples[i].row): samples[i].label for i in range(len(samples))}
    assert labels == {(name, row): name == "won" and row >= 15 for name in ("won", "lost") for row in range(24)}


def test_images_around_the_moment_can_be_left_out(folder: Path, make_bag: MakeBag) -> None:
    make_bag("won", outcome="success", success_time_s=1.0)
    samples = open_episodes(folder).reward_samples(before_s=0.19, after_s=0.13)
    assert samples.rows.tolist() == [*range(13), *range(17, 24)]
    assert samples.labels.tolist() == [False] * 13 + [True] * 7
    assert samples.skipped == {"images around the moment of success": 4}


def test_a_set_that_shows_before_and_after_at_once_has_no_label(folder: Path, make_bag: MakeBag) -> None:
    def edit(topic: str, row: int, message: Any) -> Any:
        return None if topic == HEAD and row in (15, 16) else message  # the head still shows row 14

    make_bag("won", outcome="success", success_time_s=1.0, edit=edit, replan=100)
    samples = open_episodes(folder).reward_samples()
    assert samples.rows.tolist() == [row for row in range(24) if row not in (15, 16)]
