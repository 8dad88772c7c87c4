"""Checkpoints of openpi and lerobot become policies, or are refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName  # noqa: E402
from vla_mbpo_ros.policy.checkpoint import Lineage, load_policy, save_policy  # noqa: E402
from vla_mbpo_ros.policy.inspection import inspect  # noqa: E402
from vla_mbpo_ros.policy.pi.foreign import Foreign, load_foreign  # noqa: E402

Make = Callable[..., Any]
NAMES = ("a", "b", "c")
TOLD = Foreign("bytes", {"left_wrist_0_rgb": "wrist"}, NAMES, NAMES, horizon=5)
CASES = [(layout, kind) for layout in ("openpi", "lerobot") for kind in ("pi0", "pi05")]
_PALI, _EXPERT = "paligemma_with_expert.paligemma.model.", "paligemma_with_expert.gemma_expert.model."


@pytest.mark.parametrize(("layout", "kind"), CASES)
def test_each_layout_becomes_a_policy_with_its_own_weights(fabricate: Make, look: Make, layout: str, kind: str) -> None:
    path = fabricate(layout, kind)
    policy = load_foreign(path, TOLD)
    raw = {name.removeprefix("model."): tensor for name, tensor in load_file(path / "model.safetensors").items()}
    norm = "dense.bias" if kind == "pi05" else "weight"
    for ours, theirs in {
        "vision.layers.1.up.weight": _PALI + "vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight",
        "words.weight": "paligemma_with_expert.paligemma.lm_head.weight",
        "language.layers.0.norm2.weight": _PALI + "language_model.layers.0.post_attention_layernorm.weight",
        f"expert.layers.1.norm1.{norm.replace('dense', 'modulation')}": _EXPERT + f"layers.1.input_layernorm.{norm}",
        "expert.layers.1.down.weight": _EXPERT + "layers.1.mlp.down_proj.weight",
        "time_out.bias": ("" if kind == "pi05" else "action_") + "time_mlp_out.bias",
    }.items():
        assert torch.equal(policy.net.state_dict()[ours], raw[theirs]), ours
    sample = policy.sample(policy.encode(look(2)), 0)
    assert sample.values.shape == (2, 5, 3)
    assert policy.kind == kind
    assert policy.version.startswith(f"{kind}-")


@pytest.mark.parametrize(("layout", "kind"), CASES)
def test_what_was_loaded_can_be_saved_as_ours(
    fabricate: Make, look: Make, tmp_path: Path, layout: str, kind: str
) -> None:
    policy = load_foreign(fabricate(layout, kind), TOLD)
    before = policy.sample(policy.encode(look(2)), 0, "noise")
    written = save_policy(policy, tmp_path / "ours", Lineage(parent="base"))
    again = load_policy(tmp_path / "ours")
    after = again.sample(again.encode(look(2)), 0, "noise")
    np.testing.assert_array_equal(before.values, after.values)
    assert torch.equal(before.log_prob, after.log_prob)
    assert again.version == written.version


def test_statistics_have_the_numbers_of_the_file(fabricate: Make) -> None:
    quantiles = load_foreign(fabricate("openpi", "pi05", "a"), TOLD).normalisation
    np.testing.assert_allclose(quantiles.action.restore(np.array([-1.0, 1.0, 0.0])), [-1.0, 2.0, 0.25], atol=1e-5)
    scores = load_foreign(fabricate("lerobot", "pi0", "b"), TOLD).normalisation
    np.testing.assert_allclose(scores.state.normalise(np.array([1.1, 0.2, 0.8])), [1.0, 0.0, 1.0], atol=1e-6)


def test_settings_come_from_the_layout(fabricate: Make) -> None:
    openpi = load_foreign(fabricate("openpi", "pi05", "a"), TOLD)
    assert list(openpi.maker.cfg.cameras.items()) == [
        ("base_0_rgb", "head"),
        ("left_wrist_0_rgb", "wrist"),
        ("right_wrist_0_rgb", "right_wrist"),
    ]
    assert (openpi.maker.cfg.antialias, openpi.maker.cfg.max_tokens, openpi.maker.cfg.prompt) == (True, 200, "state")
    assert openpi.uses_state
    lerobot = load_foreign(fabricate("lerobot", "pi0", "b"), Foreign("bytes"))
    assert list(lerobot.maker.cfg.cameras) == ["base_0_rgb", "left_wrist_0_rgb"]
    assert (lerobot.maker.cfg.antialias, lerobot.maker.cfg.max_tokens, lerobot.maker.cfg.prompt) == (False, 60, "plain")
    assert lerobot.horizon == 5
    libero = load_foreign(fabricate("openpi", "pi05", "c"), Foreign("bytes", horizon=5, prompt="plain"))
    assert not libero.uses_state


def test_weights_come_in_the_precision_asked_for(fabricate: Make) -> None:
    net = load_foreign(fabricate("openpi", "pi05"), TOLD, dtype="bfloat16").net
    assert net.language.layers[0].q.weight.dtype == torch.bfloat16
    assert net.language.layers[0].norm1.weight.dtype == net.action_in.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("layout", "kind", "changes", "told"),
    [
        ("openpi", "pi05", {"stats": "z-score"}, r"has mean, std; needed are quantile statistics \(q01, q99\)"),
        ("lerobot", "pi05", {"mode": "MEAN_STD"}, "pi05 works with quantile statistics, these are z-score"),
        ("lerobot", "pi0", {"mode": "QUANTILES"}, "pi0 works with z-score statistics, these are quantile"),
        ("lerobot", "pi05", {"mode": "MIN_MAX"}, "normalises STATE MIN_MAX, ACTION MIN_MAX"),
        ("openpi", "pi05", {"robots": ()}, "has no norm_stats.json: its statistics are missing"),
        ("lerobot", "pi05", {"type": "pi0"}, "says pi0, the weights are pi05"),
        ("openpi", "pi05", {"more": {"lora.a": (2,)}}, "1 unknown: lora.a"),
        ("openpi", "pi0", {"without": ("state_proj.weight",)}, "1 missing: state_proj.weight"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    fabricate: Make, layout: str, kind: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ContractError, match=told):
        load_foreign(fabricate(layout, kind, **changes), TOLD)


def test_weights_that_have_learnt_the_other_kind_are_taken_on_request(fabricate: Make) -> None:
    told = Foreign("bytes", horizon=5, statistics="z-score")
    assert load_foreign(fabricate("lerobot", "pi05", mode="MEAN_STD"), told).normalisation.kind == "z-score"


@pytest.mark.parametrize(
    ("layout", "changes", "told", "error", "text"),
    [
        ("openpi", {}, Foreign("bytes"), ConfigError, "does not say how many steps"),
        ("openpi", {}, Foreign(horizon=5), ConfigError, "has no tokenizer"),
        ("openpi", {}, Foreign("bytes", {"head": "head"}, horizon=5), UnknownName, "image slot 'head'"),
        ("openpi", {}, Foreign("bytes", state_names=("a",), horizon=5), ContractError, "3 columns, 1 names"),
        ("openpi", {"robots": ("x", "y")}, Foreign("bytes", horizon=5), ConfigError, "several robots: assets/x"),
        ("lerobot", {"relative": True}, Foreign("bytes"), ConfigError, "learnt relative actions"),
    ],
)
def test_what_the_checkpoint_does_not_say_must_be_told(
    fabricate: Make, layout: str, changes: dict[str, Any], told: Foreign, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        load_foreign(fabricate(layout, "pi05", **changes), told)


def test_one_of_several_robots_can_be_named(fabricate: Make) -> None:
    told = Foreign("bytes", horizon=5, assets="y")
    assert load_foreign(fabricate("openpi", "pi05", robots=("x", "y")), told).normalisation.action.width == 3


def test_two_tables_of_words_must_be_one(fabricate: Make) -> None:
    words = _PALI + "language_model.embed_tokens.weight"
    path = fabricate("openpi", "pi05", more={words: (300, 24)})
    with pytest.raises(ContractError, match="two different tables of words"):
        load_foreign(path, TOLD)
    tensors = load_file(path / "model.safetensors")
    tensors[words] = tensors["paligemma_with_expert.paligemma.lm_head.weight"].clone()
    save_file(tensors, str(path / "model.safetensors"))
    assert load_foreign(path, TOLD).horizon == 5


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "policy.pkl", "last.ckpt", "weights.pth"])
def test_a_pickle_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ContractError, match=f"{name} is a pickle, which runs a program"):
            load_foreign(path, TOLD)


def test_a_file_that_is_cut_off_is_refused(fabricate: Make) -> None:
    path = fabricate("openpi", "pi05") / "model.safetensors"
    whole = path.read_bytes()
    for length, told in ((len(whole) - 100, "it is cut off"), (200, "length of a header"), (5, "it has 5 bytes")):
        path.write_bytes(whole[:length])
        with pytest.raises(ContractError, match=told):
            load_foreign(path.parent, TOLD)


def test_another_model_is_refused(tmp_path: Path) -> None:
    save_file({"encoder.weight": torch.zeros(2)}, str(tmp_path / "model.safetensors"))
    with pytest.raises(ContractError, match=r"is no pi0 or pi0\.5: its weights are encoder"):
        load_foreign(tmp_path, TOLD)
    with pytest.raises(ContractError, match=r"has no model\.safetensors"):
        load_foreign(tmp_path / "nowhere", TOLD)


@pytest.mark.parametrize(("layout", "kind"), CASES)
def test_inspection_tells_what_a_foreign_checkpoint_is(fabricate: Make, layout: str, kind: str) -> None:
    path = fabricate(layout, kind)
    found = inspect(path)
    assert (found["layout"], found["kind"], found["problems"]) == (layout, kind, [])
    assert found["statistics"]["kind"] == {"pi0": "z-score", "pi05": "quantile"}[kind]
    assert found["network"]["depth"] == 2
    assert found["dtypes"] == {"F32": found["parameters"]}
    json.dumps(found)


def test_inspection_tells_what_keeps_a_checkpoint_from_being_loaded(fabricate: Make) -> None:
    found = inspect(fabricate("lerobot", "pi05", mode="MEAN_STD"))
    assert found["statistics"] is None
    assert len(found["problems"]) == 1
    assert "quantile statistics" in found["problems"][0]
