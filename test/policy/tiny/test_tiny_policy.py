"""The small policy keeps the protocol, comes back from disk, and is quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.config import PolicyConfig  # noqa: E402 (after the check)
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName  # noqa: E402
from vla_mbpo_ros.policy import make_policy  # noqa: E402
from vla_mbpo_ros.policy.checkpoint import Lineage, load_policy, save_policy  # noqa: E402
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig  # noqa: E402
from vla_mbpo_ros.policy.flow.normalisation import Columns, Normalisation  # noqa: E402
from vla_mbpo_ros.policy.tiny.config import TinyConfig  # noqa: E402
from vla_mbpo_ros.policy.tiny.eye import places  # noqa: E402
from vla_mbpo_ros.policy.tiny.factory import make_tiny  # noqa: E402
from vla_mbpo_ros.robots import get_robot  # noqa: E402

Make = Callable[..., Any]
TABLETOP = get_robot("tabletop")


def full_size() -> Any:
    """In the sizes of the tabletop."""
    columns = Columns(TABLETOP.names, (0.0,) * 7, (1.0,) * 7)
    inputs = InputConfig(cameras={name: name for name in TABLETOP.camera_names})
    return make_tiny(TinyConfig(), FlowConfig(), inputs, Normalisation("quantile", columns, columns))


def test_shapes_are_those_of_the_protocol(small: Make, look: Make) -> None:
    policy = small()
    prefix = policy.encode(look(4))
    sample = policy.sample(prefix, 0, "noise")
    assert sample.values.shape == (4, 6, 3)
    assert sample.chain.shape == (4, 4, 6, 3)
    assert sample.log_prob.shape == (4,)
    assert policy.value_of(prefix).shape == (4,)
    assert policy.uses_state


def test_the_same_seed_makes_the_same_weights_and_another_one_others(small: Make, look: Make) -> None:
    same, other = small(3), small(4)
    again = small(3)
    assert all(torch.equal(a, b) for a, b in zip(same.parameters(), again.parameters(), strict=True))
    assert not np.array_equal(*(made.sample(made.encode(look(1)), 0).values for made in (same, other)))


def test_making_a_policy_leaves_the_global_chance_alone(small: Make) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    small(1)
    assert torch.equal(torch.rand(3), wanted)


def test_the_ratio_is_exactly_one_before_the_first_update(small: Make, look: Make) -> None:
    policy = small()
    prefix = policy.encode(look(5))
    sample = policy.sample(prefix, 7, "noise")
    assert torch.equal(policy.log_prob(prefix, sample.chain), sample.log_prob)


def test_the_instruction_changes_what_is_proposed(small: Make, look: Make) -> None:
    policy = small()
    for film in policy.net.eye.films:  # they start as no change
        torch.nn.init.normal_(film.map.weight, std=0.1)
    one = look(1)[0]
    other = replace(one, instruction="push the yellow block")
    prefix = policy.encode([one, other])
    values = policy.sample(prefix, [3, 3]).values
    assert np.abs(values[0] - values[1]).max() > 1e-3


def test_padding_after_the_instruction_changes_nothing(small: Make, look: Make) -> None:
    short, long = small(max_tokens=24), small(max_tokens=60)
    made = [policy.encode(look(2)).content.cache.seen for policy in (short, long)]
    torch.testing.assert_close(*made)


def test_a_camera_that_is_missing_is_masked_if_the_policy_allows(small: Make, look: Make) -> None:
    policy = small(missing_camera="mask")
    blind = [replace(one, images={"head": one.images["head"]}) for one in look(2)]
    seen = policy.encode(blind).content.cache.seen
    assert torch.equal(seen[:, 12:24], torch.zeros(2, 12))  # 4 keypoints x 3 numbers of the second view
    assert seen[:, :12].abs().max() > 0
    with pytest.raises(ContractError, match="missing: wrist"):
        small().encode(blind)


def test_one_view_is_enough(small: Make, look: Make) -> None:
    policy = small(views=1, cameras={"head": "head"})
    assert policy.sample(policy.encode(look(2, views=("head",))), 0).values.shape == (2, 6, 3)


def test_views_and_cameras_must_agree(small: Make) -> None:
    with pytest.raises(ConfigError, match="1 image slots, the inputs name 2"):
        small(views=1)


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (-0.6, 0.2), (0.8, -1.0)])
def test_a_sharp_map_is_the_place_of_its_peak(x: float, y: float) -> None:
    columns, rows = torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16)
    near_x, near_y = (columns - x).abs().argmin(), (rows - y).abs().argmin()
    maps = torch.zeros(1, 1, 16, 16)
    maps[0, 0, near_y, near_x] = 50.0
    found = places(maps)[0]
    torch.testing.assert_close(
        found, torch.tensor([float(columns[near_x]), float(rows[near_y]), 0.0]), atol=1e-5, rtol=0
    )


def test_a_flat_map_is_the_middle_and_unsure() -> None:
    found = places(torch.zeros(1, 1, 16, 16))[0]
    assert found[:2].abs().max() < 1e-6
    assert found[2] > 0.5


def test_bfloat16_costs_no_place(small: Make, look: Make) -> None:
    policy = small()
    inputs = policy.maker(look(2), "cpu")
    exact = policy.net.encode(inputs).seen
    with torch.autocast("cpu", torch.bfloat16):
        rough = policy.net.encode(inputs)
    assert rough.context.dtype == rough.seen.dtype == torch.float32
    torch.testing.assert_close(rough.seen, exact, atol=0.02, rtol=0)


def test_it_comes_back_from_disk_as_it_was(small: Make, look: Make, tmp_path: Path) -> None:
    policy = small()
    save_policy(policy, tmp_path / "policy", Lineage())
    again = load_policy(tmp_path / "policy")
    before, after = (made.sample(made.encode(look(3)), 1, "noise") for made in (policy, again))
    np.testing.assert_array_equal(before.values, after.values)
    assert torch.equal(before.log_prob, after.log_prob)
    assert again.kind == "tiny"


def test_policy_node_gets_it_by_kind_and_checkpoint(tmp_path: Path) -> None:
    saved = full_size()
    save_policy(saved, tmp_path / "policy", Lineage())
    policy = make_policy(PolicyConfig(kind="tiny", checkpoint=str(tmp_path / "policy")), TABLETOP, 20.0)
    assert policy.version == saved.version
    with pytest.raises(ConfigError, match=r"policy\.checkpoint is empty"):
        make_policy(PolicyConfig(kind="tiny"), TABLETOP, 20.0)
    with pytest.raises(ContractError, match=r"moves x, y, z.*arx_x5 has"):
        make_policy(PolicyConfig(kind="tiny", checkpoint=str(tmp_path / "policy")), get_robot("arx_x5"), 15.0)


def test_a_policy_of_another_camera_is_refused(tmp_path: Path) -> None:
    policy = full_size()
    cfg = replace(policy.maker.cfg, cameras={"head": "head", "wrist": "wrest"})
    policy.maker = replace(policy.maker, cfg=cfg)
    save_policy(policy, tmp_path / "policy", Lineage())
    with pytest.raises(UnknownName, match="Did you mean 'wrist'"):
        make_policy(PolicyConfig(kind="tiny", checkpoint=str(tmp_path / "policy")), TABLETOP, 20.0)
