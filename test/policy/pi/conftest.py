"""Checkpoints as others write them: true names, written out here once more by hand, tiny shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Shapes = dict[str, tuple[int, ...]]


def _linear(name: str, outputs: int, inputs: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), **({f"{name}.bias": (outputs,)} if bias else {})}


def _gemma(room: str, depth: int, width: int, mlp: int, head_dim: int, adaptive: bool) -> Shapes:
    """A decoder with eight heads that share one head of keys and values."""
    shapes: Shapes = {}
    for index in range(depth):
        layer = f"{room}.layers.{index}"
        for name, outputs, inputs in (
            ("self_attn.q_proj", 8 * head_dim, width),
            ("self_attn.k_proj", head_dim, width),
            ("self_attn.v_proj", head_dim, width),
            ("self_attn.o_proj", width, 8 * head_dim),
            ("mlp.gate_proj", mlp, width),
            ("mlp.up_proj", mlp, width),
            ("mlp.down_proj", width, mlp),
        ):
            shapes |= _linear(f"{layer}.{name}", outputs, inputs, bias=False)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes |= _norm(f"{layer}.{norm}", width, adaptive)
    return shapes | _norm(f"{room}.norm", width, adaptive)


def _norm(name: str, width: int, adaptive: bool) -> Shapes:
    return _linear(f"{name}.dense", 3 * width, width) if adaptive else {f"{name}.weight": (width,)}


def _vision(room: str, depth: int, width: int, mlp: int, patch: int, tokens: int) -> Shapes:
    shapes: Shapes = {
        f"{room}.embeddings.patch_embedding.weight": (width, 3, patch, patch),
        f"{room}.embeddings.patch_embedding.bias": (width,),
        f"{room}.embeddings.position_embedding.weight": (tokens, width),
    }
    for index in range(depth):
        layer = f"{room}.encoder.layers.{index}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{layer}.self_attn.{name}", width, width)
        shapes |= _linear(f"{layer}.mlp.fc1", mlp, width) | _linear(f"{layer}.mlp.fc2", width, mlp)
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{layer}.{norm}.weight": (width,), f"{layer}.{norm}.bias": (width,)}
    return shapes | {f"{room}.post_layernorm.weight": (width,), f"{room}.post_layernorm.bias": (width,)}


@pytest.fixture
def public_shapes() -> Callable[..., Shapes]:
    """The weights of a public checkpoint: `kind` "pi0" or "pi05", of the true size or a tiny one."""

    def make(kind: str, true_size: bool = False) -> Shapes:
        depth, width, mlp, head_dim, expert, expert_mlp = (
            (18, 2048, 16384, 256, 1024, 4096) if true_size else (2, 24, 40, 4, 16, 20)
        )
        vision = (27, 1152, 4304, 14, 256) if true_size else (2, 32, 48, 14, 4)
        vocabulary, actions = (257152, 32) if true_size else (300, 8)
        both, adaptive = "paligemma_with_expert", kind == "pi05"
        pali = f"{both}.paligemma.model"
        shapes = _vision(f"{pali}.vision_tower.vision_model", *vision)
        shapes |= _linear(f"{pali}.multi_modal_projector.linear", width, vision[1])
        shapes |= _gemma(f"{pali}.language_model", depth, width, mlp, head_dim, adaptive=False)
        shapes |= _gemma(f"{both}.gemma_expert.model", depth, expert, expert_mlp, head_dim, adaptive)
        # Tied to the input words, which are not written a second time.
        shapes |= {f"{both}.paligemma.lm_head.weight": (vocabulary, width)}
        shapes |= {f"{both}.gemma_expert.lm_head.weight": (vocabulary, expert)}
        shapes |= _linear("action_in_proj", expert, actions) | _linear("action_out_proj", actions, expert)
        if adaptive:
            return shapes | _linear("time_mlp_in", expert, expert) | _linear("time_mlp_out", expert, expert)
        shapes |= _linear("action_time_mlp_in", expert, 2 * expert) | _linear("action_time_mlp_out", expert, expert)
        return shapes | _linear("state_proj", expert, actions)

    return make


@pytest.fixture
def fabricate(public_shapes: Callable[..., Shapes], tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint folder in the layout of "openpi" or "lerobot", with random weights."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("safetensors", reason="safetensors is not installed")

    def make(layout: str, kind: str, folder: str = "checkpoint", **changes: Any) -> Path:
        import torch
        from safetensors.torch import save_file

        path = tmp_path / folder
        path.mkdir()
        prefix = "model." if layout == "lerobot" else ""
        generator = torch.Generator().manual_seed(0)
        tensors = {
            prefix + name: torch.randn(shape, generator=generator) * 0.2
            for name, shape in public_shapes(kind).items()
            if name not in changes.get("without", ())
        }
        tensors |= {prefix + name: torch.zeros(shape) for name, shape in changes.get("more", {}).items()}
        save_file(tensors, str(path / "model.safetensors"))
        (_openpi if layout == "openpi" else _lerobot)(path, kind, changes)
        return path

    return make


def _openpi(path: Path, kind: str, changes: dict[str, Any]) -> None:
    columns: dict[str, Any] = {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 0.5], "q01": None, "q99": None}
    if kind == "pi05" or changes.get("stats") == "quantile":
        columns |= {"q01": [-1.0, -2.0, 0.0], "q99": [1.0, 2.0, 0.5]}
    if changes.get("stats") == "z-score":
        columns |= {"q01": None, "q99": None}
    for robot in changes.get("robots", ("arm",)):
        (path / "assets" / robot).mkdir(parents=True)
        text = json.dumps({"norm_stats": {"state": columns, "actions": columns}})
        (path / "assets" / robot / "norm_stats.json").write_text(text)


def _lerobot(path: Path, kind: str, changes: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    mode = changes.get("mode", "QUANTILES" if kind == "pi05" else "MEAN_STD")
    views = ("base_0_rgb", "left_wrist_0_rgb")
    config = {
        "type": changes.get("type", kind),
        "chunk_size": 5,
        "max_action_dim": 8,
        "tokenizer_max_length": 60,
        "input_features": {f"observation.images.{view}": {"type": "VISUAL", "shape": [3, 28, 28]} for view in views},
        "use_relative_actions": changes.get("relative", False),
    }
    (path / "config.json").write_text(json.dumps(config))
    name = "policy_preprocessor_step_2_normalizer_processor.safetensors"
    norm_map = {"VISUAL": "IDENTITY", "STATE": mode, "ACTION": mode}
    steps = [
        {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
        {
            "registry_name": "normalizer_processor",
            "config": {"eps": 1e-8, "norm_map": norm_map},
            "state_file": name,
        },
    ]
    (path / "policy_preprocessor.json").write_text(json.dumps({"name": "policy_preprocessor", "steps": steps}))
    numbers = {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 0.5], "q01": [-1.0, -2.0, 0.0], "q99": [1.0, 2.0, 0.5]}
    found = {
        f"{key}.{name}": np.array(values, dtype=np.float32)
        for key in ("observation.state", "action")
        for name, values in numbers.items()
    }
    save_file(found, str(path / name))
