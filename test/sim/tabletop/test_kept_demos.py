"""Demonstrations are kept whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.sim.tabletop import Demonstrations, Pool, collect

RECIPE = {"tasks": ("press_red", "lift_green"), "noise": 0.3, "stride": 5}


@pytest.fixture(scope="module")
def demos(shared_pool: Pool) -> Demonstrations:
    return collect(("press_red", "lift_green"), range(3), 0.3, pool=shared_pool, stride=5)


@pytest.fixture
def kept(demos: Demonstrations, tmp_path: Path) -> Path:
    path = tmp_path / "training" / "demonstrations.npz"
    demos.save(path, RECIPE)
    return path


def same(one: Demonstrations, other: Demonstrations) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in vars(one)]
    return all(np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None) for a, b in pairs)


def test_they_come_back_to_the_last_bit(demos: Demonstrations, kept: Path) -> None:
    back = Demonstrations.load(kept, RECIPE)
    assert same(back, demos)
    assert back.tasks == demos.tasks
    assert back.instructions == demos.instructions
    assert same(back.take([4, 0]), demos.take([4, 0]))


def test_what_was_made_otherwise_is_refused(kept: Path) -> None:
    with pytest.raises(ConfigError, match=r"noise was 0.3, now 0.4"):
        Demonstrations.load(kept, {**RECIPE, "noise": 0.4})
    with pytest.raises(ConfigError, match=r"slip was None, now 0.5"):
        Demonstrations.load(kept, {**RECIPE, "slip": 0.5})
    with pytest.raises(ConfigError, match="stride was 5, now None"):
        Demonstrations.load(kept, {"tasks": RECIPE["tasks"], "noise": 0.3})
    assert Demonstrations.load(kept).seeds.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_file_that_was_cut_off_is_refused(kept: Path, share: float) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ContractError, match="no arrays that can be read"):
        Demonstrations.load(kept, RECIPE)


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.75, 0.9])
def test_a_flipped_bit_is_seen(kept: Path, share: float) -> None:
    damaged = bytearray(kept.read_bytes())
    damaged[int(share * len(damaged))] ^= 0x10
    kept.write_bytes(damaged)
    with pytest.raises(ContractError, match="no arrays that can be read"):
        Demonstrations.load(kept, RECIPE)


def test_a_new_file_replaces_the_old_one_and_leaves_nothing_beside_it(demos: Demonstrations, kept: Path) -> None:
    kept.with_name(f".{kept.name}.part").write_bytes(b"left by a process that was killed")
    demos.take([1]).save(kept, {})
    assert same(Demonstrations.load(kept, {}), demos.take([1]))
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_other_arrays_and_pickles_are_refused(demos: Demonstrations, kept: Path) -> None:
    np.savez(kept, recipe=np.array("{}"), images=demos.images)
    with pytest.raises(ContractError, match="not demonstrations"):
        Demonstrations.load(kept)
    np.savez(kept, recipe=np.array("{}"), images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ContractError, match="no arrays that can be read"):
        Demonstrations.load(kept)
    with pytest.raises(ContractError, match="no arrays that can be read"):
        Demonstrations.load(kept.with_name("elsewhere.npz"))


def test_what_fails_to_be_written_leaves_the_old_file(demos: Demonstrations, kept: Path) -> None:
    with pytest.raises(TypeError):
        replace(demos, seeds=np.zeros(0, dtype=np.int64)).save(kept, {"noise": object()})
    assert same(Demonstrations.load(kept, RECIPE), demos)
