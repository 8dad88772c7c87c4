"""Names and shapes of public checkpoints, at their true size, on torch's meta device: no weight is in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ContractError  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.policy.pi.config import PiConfig, preset  # noqa: E402
from vla_mbpo_ros.policy.pi.keys import match, plain_name, sizes_of, their_name  # noqa: E402
from vla_mbpo_ros.policy.pi.net import PiNet  # noqa: E402

Make = Callable[..., Any]


def _ours(cfg: PiConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in PiNet(cfg).state_dict().items()}


@pytest.mark.parametrize(("kind", "count"), [("pi0", 777), ("pi05", 812)])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_the_public_checkpoints_fit_weight_for_weight(public_shapes: Make, kind: str, count: int, prefix: str) -> None:
    """The published files have that many weights; lerobot's reader says "Remapped 777 state dict keys" of pi0."""
    theirs = {prefix + name: shape for name, shape in public_shapes(kind, true_size=True).items()}
    assert len(theirs) == count
    cfg = sizes_of(theirs, horizon=50)
    assert cfg == preset(kind)
    names = match(_ours(cfg), theirs, kind, "the file")
    unused = {plain_name(name) for name in set(theirs) - set(names.values())}
    assert unused == {"paligemma_with_expert.gemma_expert.lm_head.weight"}
    assert len(set(names.values())) == len(names)


def test_a_tower_without_its_inner_name_fits_as_well(public_shapes: Make) -> None:
    """Later versions of transformers leave `vision_model` out."""
    theirs = {name.replace(".vision_model.", "."): shape for name, shape in public_shapes("pi05").items()}
    assert sizes_of(theirs, 5) == sizes_of(public_shapes("pi05"), 5)
    match(_ours(sizes_of(theirs, 5)), theirs, "pi05", "the file")


@pytest.mark.parametrize("kind", ["pi0", "pi05"])
def test_no_two_of_our_weights_share_a_name(kind: str) -> None:
    ours = _ours(preset("tiny_random" if kind == "pi05" else "tiny_random_pi0"))
    assert len({their_name(name, kind) for name in ours}) == len(ours)


def test_what_does_not_fit_is_listed_and_counted(public_shapes: Make) -> None:
    theirs = public_shapes("pi05")
    ours = _ours(sizes_of(theirs, 5))
    for index in range(2):
        del theirs[f"paligemma_with_expert.gemma_expert.model.layers.{index}.self_attn.q_proj.weight"]
    theirs |= {f"lora.{index}": (1,) for index in range(8)}
    theirs["action_out_proj.bias"] = (9,)
    with pytest.raises(ContractError) as caught:
        match(ours, theirs, "pi05", "the file")
    told = str(caught.value)
    assert "2 missing: paligemma_with_expert.gemma_expert.model.layers.0.self_attn.q_proj.weight" in told
    assert "8 unknown: lora.0, lora.1, lora.2, lora.3, lora.4 and 3 more" in told
    assert "1 of another shape: action_out_proj.bias (9,) instead of (8,)" in told


def test_a_checkpoint_without_its_vision_is_refused(public_shapes: Make) -> None:
    theirs = {name: shape for name, shape in public_shapes("pi05").items() if "vision_tower" not in name}
    with pytest.raises(ContractError, match=r"has no weight .*patch_embedding"):
        sizes_of(theirs, 5)
