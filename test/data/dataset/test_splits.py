"""Splits are by episode and stay where they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.data.dataset import DatasetSettings
from vla_mbpo_ros.data.dataset.splits import split_of
from vla_mbpo_ros.errors import ConfigError, VlaMbpoError

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


@given(episode=st.text())
def test_every_episode_has_one_split_whatever_its_name(episode: str) -> None:
    assert split_of(episode, SHARES) in SHARES
    assert split_of(episode, {"train": 1.0, "val": 0.0}) == "train"
    assert split_of(episode, {"train": 0.0, "val": 1.0}) == "val"


def test_shares_are_kept_over_many_episodes() -> None:
    found = [split_of(f"arx_x5-2026-{index}", SHARES) for index in range(5000)]
    for name, share in SHARES.items():
        assert found.count(name) / 5000 == pytest.approx(share, abs=0.02)


def test_the_split_of_an_episode_is_fixed_for_all_time() -> None:
    """Written down once: another hash would move episodes of old data sets."""
    assert [split_of(f"episode_{index:03d}", SHARES) for index in range(8)] == [
        "train", "train", "train", "val", "train", "train", "train", "test",
    ]  # fmt: skip


@given(episode=st.text(), share=st.floats(0.5, 0.99))
def test_a_larger_share_moves_nobody_out_of_it(episode: str, share: float) -> None:
    if split_of(episode, {"train": 0.5, "val": 0.5}) == "train":
        assert split_of(episode, {"train": share, "val": 1.0 - share}) == "train"


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0}, {"stride": 0}, {"starts": "chunk"}, {"outcomes": ("succes",)}, {"size": (0, 5)},
        {"splits": {"train": 0.5}}, {"splits": {"train": 1.5, "val": -0.5}}, {"splits": {}},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        DatasetSettings(**wrong)  # type: ignore[arg-type]
    assert isinstance(caught.value, VlaMbpoError)
    assert caught.value.cure
