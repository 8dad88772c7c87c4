"""What is exported comes back as it was, by the names that the public programs know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from safetensors.torch import load_file  # noqa: E402 (after the checks)

from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName  # noqa: E402
from vla_mbpo_ros.models.weights import read_header  # noqa: E402
from vla_mbpo_ros.policy.pi.config import preset  # noqa: E402
from vla_mbpo_ros.policy.pi.export import export  # noqa: E402
from vla_mbpo_ros.policy.pi.foreign import Foreign, load_foreign  # noqa: E402
from vla_mbpo_ros.policy.pi.keys import UNUSED, public_name  # noqa: E402
from vla_mbpo_ros.policy.pi.net import PiNet  # noqa: E402

Make = Callable[..., Any]
NAMES = ("a", "b", "c")
TOLD = Foreign("bytes", {"left_wrist_0_rgb": "wrist"}, NAMES, NAMES, horizon=5)
CASES = [(layout, kind) for layout in ("openpi", "lerobot") for kind in ("pi0", "pi05")]


def trained(policy: Any) -> Any:
    """With other weights than any file has."""
    with torch.no_grad():
        for index, parameter in enumerate(policy.net.parameters()):
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)))
    return policy


@pytest.mark.parametrize(("layout", "kind"), CASES)
def test_a_policy_comes_back_bit_for_bit(fabricate: Make, look: Make, tmp_path: Path, layout: str, kind: str) -> None:
    policy = trained(load_foreign(fabricate(layout, kind), TOLD))
    export(policy, tmp_path / "out", layout)
    again = load_foreign(tmp_path / "out", TOLD if layout == "openpi" else replace(TOLD, horizon=0))
    mine, theirs = policy.net.state_dict(), again.net.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert again.net.cfg == policy.net.cfg
    assert again.maker.cfg == policy.maker.cfg
    assert again.normalisation.kind == policy.normalisation.kind
    for what in ("state", "action"):
        one, other = getattr(policy.normalisation, what), getattr(again.normalisation, what)
        assert one.names == other.names
        np.testing.assert_allclose(other.zero, one.zero, rtol=0, atol=1e-15)  # written as sums: the last bit may differ
        np.testing.assert_allclose(other.scale, one.scale, rtol=1e-15)
    before, after = (made.sample(made.encode(look(2)), 0).values for made in (policy, again))
    np.testing.assert_allclose(after, before, rtol=1e-12)


@pytest.mark.parametrize(("layout", "kind"), CASES)
def test_names_and_shapes_are_those_of_public_checkpoints(
    fabricate: Make, public_shapes: Make, tmp_path: Path, layout: str, kind: str
) -> None:
    export(load_foreign(fabricate(layout, kind), TOLD), tmp_path / "out", layout)
    prefix = "model." if layout == "lerobot" else ""
    wanted = {prefix + name: shape for name, shape in public_shapes(kind).items()}
    assert read_header(tmp_path / "out" / "model.safetensors").shapes == wanted


@pytest.mark.parametrize("kind", ["pi0", "pi05"])
def test_a_network_of_true_size_has_every_public_name(public_shapes: Make, kind: str) -> None:
    with torch.device("meta"):
        net = PiNet(preset(kind))
    ours = {public_name(name, kind): tuple(weight.shape) for name, weight in net.state_dict().items()}
    wanted = public_shapes(kind, true_size=True)
    assert {**ours, UNUSED: wanted[UNUSED]} == wanted


def test_it_may_go_from_one_layout_to_the_other(fabricate: Make, tmp_path: Path) -> None:
    policy = load_foreign(fabricate("openpi", "pi05"), TOLD)
    notes = export(policy, tmp_path / "out", "lerobot")["notes"]
    again = load_foreign(tmp_path / "out", replace(TOLD, horizon=0))
    assert again.horizon == 5
    assert list(again.maker.cfg.cameras) == list(policy.maker.cfg.cameras)
    assert torch.equal(again.net.words.weight, policy.net.words.weight)
    assert "It has learnt from images shrunk with antialiasing; lerobot shrinks without." in notes
    with pytest.raises(ConfigError, match="openpi's base_0_rgb, left_wrist_0_rgb, right_wrist_0_rgb"):
        export(load_foreign(fabricate("lerobot", "pi05", "two_views"), TOLD), tmp_path / "back", "openpi")


def test_either_kind_of_number_says_the_same_mapping(fabricate: Make, tmp_path: Path) -> None:
    """A program that reads the wrong kind, as one configured by hand may, is right all the same."""
    for kind in ("pi0", "pi05"):
        policy = load_foreign(fabricate("openpi", kind, kind), TOLD)
        export(policy, tmp_path / f"{kind}_out", "openpi", "arm")
        for statistics in ("z-score", "quantile"):
            again = load_foreign(tmp_path / f"{kind}_out", replace(TOLD, statistics=statistics, assets="arm"))
            np.testing.assert_allclose(again.normalisation.action.zero, policy.normalisation.action.zero, atol=1e-12)
            np.testing.assert_allclose(again.normalisation.action.scale, policy.normalisation.action.scale, rtol=1e-12)


def test_half_precision_stays_half(fabricate: Make, tmp_path: Path) -> None:
    policy = load_foreign(fabricate("lerobot", "pi05"), TOLD, dtype="bfloat16")
    export(policy, tmp_path / "out", "lerobot")
    raw = load_file(tmp_path / "out" / "model.safetensors")
    assert raw["model.paligemma_with_expert.gemma_expert.model.layers.0.mlp.up_proj.weight"].dtype == torch.bfloat16
    assert raw["model.action_in_proj.weight"].dtype == torch.float32
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


def test_statistics_of_lerobot_are_where_both_of_its_pipelines_look(fabricate: Make, tmp_path: Path) -> None:
    for kind, place in (("pi05", 2), ("pi0", 5)):
        out = tmp_path / f"{kind}_out"
        made = export(load_foreign(fabricate("lerobot", kind, kind), TOLD), out, "lerobot")
        assert f"policy_preprocessor_step_{place}_normalizer_processor.safetensors" in made["files"]
        for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
            for step in json.loads((out / name).read_text())["steps"]:
                if "state_file" in step:
                    found = load_file(out / step["state_file"])
                    assert {"action.q01", "action.q99", "action.mean", "observation.state.std"} <= set(found)


@pytest.mark.parametrize("layout", ["openpi", "lerobot"])
def test_nothing_is_overwritten_and_nothing_half_done_is_left(
    fabricate: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    policy = load_foreign(fabricate(layout, "pi05"), TOLD)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="exists already, not overwriting"):
        export(policy, tmp_path / "out", layout)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vla_mbpo_ros.policy.pi.export._write", full)
    with pytest.raises(ContractError, match="No space left"):
        export(policy, tmp_path / "new", layout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "out"]


def test_what_the_other_program_cannot_hold_is_refused(tiny: Make, fabricate: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="4 heads and 4 in its image tower"):
        export(tiny(), tmp_path / "out", "lerobot")
    policy = load_foreign(fabricate("openpi", "pi05"), TOLD)
    with pytest.raises(UnknownName, match="Did you mean 'openpi'"):
        export(policy, tmp_path / "out", "openp")
    with pytest.raises(ConfigError, match="Assets cannot be called 'a/b'"):
        export(policy, tmp_path / "out", "openpi", "a/b")
    policy.kind = "tiny"
    with pytest.raises(ConfigError, match="A tiny policy has no counterpart in openpi"):
        export(policy, tmp_path / "out", "openpi")


def test_statistics_of_another_robot_can_be_put_in_the_place_of_the_checkpoints(fabricate: Make) -> None:
    own = load_foreign(fabricate("openpi", "pi05"), TOLD).normalisation
    other = replace(own, state=replace(own.state, zero=(9.0, 9.0, 9.0)))
    told = replace(TOLD, normalisation=other)
    assert load_foreign(fabricate("openpi", "pi05", "again", robots=()), told).normalisation == other
    with pytest.raises(ContractError, match="pi05 works with quantile statistics, these are z-score"):
        load_foreign(fabricate("openpi", "pi05", "third"), replace(told, normalisation=replace(other, kind="z-score")))
