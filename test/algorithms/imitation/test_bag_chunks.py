"""What is learnt from bags is what was recorded, as the live policy would see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.grounds.bag_set import cached_size, make_policy_for_bags, open_bags  # noqa: E402
from vla_mbpo_ros.algorithms.imitation.bag_chunks import BagChunks  # noqa: E402 (after the check)
from vla_mbpo_ros.algorithms.imitation.bc import train_bc  # noqa: E402
from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig  # noqa: E402
from vla_mbpo_ros.data.bags.definitions import load_definition  # noqa: E402
from vla_mbpo_ros.data.dataset.synthetic import target, write_synthetic_bag  # noqa: E402
from vla_mbpo_ros.errors import BagError, ContractError  # noqa: E402
from vla_mbpo_ros.policy.flow.inputs import InputMaker  # noqa: E402

SIDE, K = 16, 6
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def installed_messages() -> None:
    try:
        load_definition("vla_mbpo_ros/msg/JointCommand")
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")


@pytest.fixture
def make_bag(tmp_path: Path) -> Make:
    def make(name: str, **options: Any) -> Path:
        said = {"rows": 20, "size": (24, 32), "outcome": "success", **options}
        return write_synthetic_bag(tmp_path / "bags" / name, **said)

    return make


def open_all(folder: Path, **options: Any) -> tuple[Any, Any]:
    """The set, and a fresh policy for it."""
    found = open_bags([folder / "bags"], SIDE, **{"held_out": 0.0, **options})
    return found, make_policy_for_bags(found, SIDE, K, seed=0)


def test_each_row_has_its_state_its_instruction_and_the_commands_that_followed(make_bag: Make, tmp_path: Path) -> None:
    make_bag("one", instruction="pick the cup")
    found, policy = open_all(tmp_path)
    data = BagChunks(found.train, policy)
    batch = data.batch(np.array([7, 3]))
    made = policy.to_robot(batch.actions, policy.encode_inputs(batch.inputs, batch.states))
    for place, row in enumerate((7, 3)):
        np.testing.assert_allclose(made[place], [target(row + step) for step in range(K)], atol=1e-6)
        np.testing.assert_allclose(batch.states[place], found.train[0].state[row])
    assert (found.robot.name, found.control_hz) == ("arx_x5", found.robot.control_hz)
    assert bool((batch.weight == 1.0).all())
    plain = policy.maker.tokenizer.encode("pick the cup")
    assert batch.inputs.tokens[0, 1 : 1 + len(plain)].tolist() == plain


def test_steps_after_the_end_weigh_nothing(make_bag: Make, tmp_path: Path) -> None:
    make_bag("one")
    found, policy = open_all(tmp_path)
    data = BagChunks(found.train, policy)
    batch = data.batch(np.array([len(data) - 1, len(data) - 3]))
    assert batch.weight is not None
    assert batch.weight[:, :, 0].sum(dim=1).tolist() == [1.0, 3.0]
    assert batch.weight.shape == batch.actions.shape
    assert bool((batch.actions[0] == batch.actions[0, :1]).all())  # the last one, repeated


def test_what_nobody_asked_for_is_not_imitated(make_bag: Make, tmp_path: Path) -> None:
    def let_go(topic: str, row: int, message: Any) -> Any:
        if topic == "robot/executed_command" and row in (0, 1, 12):
            message.source = "hold"
        return message

    make_bag("one", edit=let_go)
    found, policy = open_all(tmp_path)
    data = BagChunks(found.train, policy)
    assert len(data) == 20 - 3
    batch = data.batch(np.array([7]))  # row 9: three steps, then somebody let go
    assert batch.weight is not None
    assert batch.weight[0, :, 0].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def test_rows_after_the_success_are_left_out(make_bag: Make, tmp_path: Path) -> None:
    make_bag("one", success_time_s=10 / 15)
    found, policy = open_all(tmp_path)
    episode = found.train[0]
    assert episode.success_ns is not None
    data = BagChunks(found.train, policy)
    assert len(data) == int((episode.times_ns <= episode.success_ns).sum()) < 20


def test_training_sees_the_images_that_the_live_policy_makes(make_bag: Make, tmp_path: Path) -> None:
    """One was shrunk by Pillow into the cache, the other is shrunk by the policy itself: equal up to a rounding."""
    bag = make_bag("one", size=(48, 64))
    assert cached_size([bag], SIDE) == (12, 16)
    found, policy = open_all(tmp_path)
    whole = open_bags([tmp_path / "bags"], SIDE, antialias=False, held_out=0.0)
    assert whole.train[0].images(4)["head"].shape == (48, 64, 3)
    rows = np.array([4, 11])
    cached, live = (BagChunks(some.train, policy).batch(rows).inputs for some in (found, whole))
    assert isinstance(policy.maker, InputMaker)
    assert float((cached.images - live.images).abs().max()) <= 1.01 / 127.5  # of a grey step
    assert torch.equal(cached.state, live.state)


def test_images_of_several_forms_are_kept_as_they_are(make_bag: Make) -> None:
    assert cached_size([make_bag("one"), make_bag("two", size=(24, 24))], SIDE) is None


def test_batches_depend_on_the_rows_alone(make_bag: Make, tmp_path: Path) -> None:
    make_bag("one")
    make_bag("two", seed=1)
    found, policy = open_all(tmp_path)
    data, again = BagChunks(found.train, policy), BagChunks(found.train, policy)
    data.batch(np.array([1, 2, 3]))
    one, other = data.batch(np.array([30, 5])), again.batch(np.array([5, 30]))
    assert torch.equal(one.actions, other.actions.flip(0))
    assert torch.equal(one.inputs.images, other.inputs.images.flip(0))
    assert len(BagChunks(found.train, policy, stride=4)) == 2 * 5


def test_episodes_are_held_out_whole_but_never_all_of_a_task(make_bag: Make, tmp_path: Path) -> None:
    for index in range(8):
        make_bag(f"bag_{index}", rows=8, instruction="often")
    make_bag("alone", rows=8, instruction="once")
    found, _ = open_all(tmp_path, held_out=0.5)
    learnt, kept = {e.id for e in found.train}, {e.id for e in found.held_out}
    assert learnt.isdisjoint(kept)
    assert len(learnt | kept) == 9
    assert kept
    assert "alone" in learnt
    none, _ = open_all(tmp_path, held_out=0.999)
    assert {e.facts.instruction for e in none.train} == {"often", "once"}
    assert any("'once'" in note for note in none.notes)


def test_one_demonstration_is_enough_to_begin(make_bag: Make, tmp_path: Path) -> None:
    make_bag("one")
    found, policy = open_all(tmp_path, held_out=0.999)
    cfg = BcConfig(steps=60, batch=8, draws=8, lr=2e-3, warmup=5, log_every=20, ema=0.8)
    rows: list[Any] = []
    train_bc(policy, BagChunks(found.train, policy), cfg, watch=rows.append, held_out=BagChunks(found.train, policy))
    assert rows[-1]["held_out"] < 0.9 * rows[0]["held_out"]


def test_joints_that_do_not_move_keep_a_share_of_their_range(make_bag: Make, tmp_path: Path) -> None:
    def still(topic: str, row: int, message: Any) -> Any:
        if topic == "joint_states":
            message.position = [*message.position[:-1], 0.01 + 1e-6 * (row % 2)]
        return message

    make_bag("one", edit=still)
    found, policy = open_all(tmp_path)
    joint = found.robot.joints[-1]
    scale = policy.normalisation.state.scale[-1]
    assert scale == pytest.approx(0.05 * max(abs(joint.low), abs(joint.high)))


def test_what_cannot_be_used_is_refused_or_said(make_bag: Make, tmp_path: Path) -> None:
    (tmp_path / "bags").mkdir()
    with pytest.raises(BagError, match="no bag below"):
        open_bags([tmp_path / "bags"], SIDE)
    make_bag("bad", outcome="failure")
    with pytest.raises(BagError, match="No episode of 1 bags can be used") as refused:
        open_bags([tmp_path / "bags"], SIDE)
    assert "bad: Its outcome is failure" in refused.value.cure
    make_bag("good")
    found, policy = open_all(tmp_path)
    assert [episode.id for episode in found.train] == ["good"]
    assert len(found.report.skipped) == 1
    policy.maker.normalisation.state.__dict__["names"] = ("other",) * 14
    with pytest.raises(ContractError, match="the policy knows other"):
        BagChunks(found.train, policy)


def test_several_folders_are_one_set(make_bag: Make, tmp_path: Path) -> None:
    make_bag("one")
    write_synthetic_bag(tmp_path / "more" / "two", rows=10, size=(24, 32), outcome="success")
    found = open_bags([tmp_path / "bags", tmp_path / "more"], SIDE, held_out=0.0)
    assert [episode.id for episode in found.train] == ["one", "two"]
    assert (tmp_path / "bags" / ".cache").is_dir()
    assert not (tmp_path / "more" / ".cache").exists()
