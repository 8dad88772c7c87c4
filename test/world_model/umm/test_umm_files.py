"""Checkpoints: ours, and Bagel's names in Bagel's layout at tiny widths."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_umm import SMALL, clean_views, small_net

from vla_mbpo_ros.config_io import build, nested
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.world_model.sequence import Block, Kind, Markers, text
from vla_mbpo_ros.world_model.sequence import layout as make_layout
from vla_mbpo_ros.world_model.umm.assemble import images
from vla_mbpo_ros.world_model.umm.bagel_keys import TABLES, their_name
from vla_mbpo_ros.world_model.umm.config import (
    PRESETS,
    LatentConfig,
    TrunkConfig,
    UmmConfig,
    VitConfig,
    preset,
)
from vla_mbpo_ros.world_model.umm.embed import sine_table
from vla_mbpo_ros.world_model.umm.files import BAGEL_WEIGHTS, bagel_config, load_bagel, load_net, save_net
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.umm.rows import rows

# Bagel's depths, so that every name is there, and hardly any width.
NARROW = UmmConfig(
    TrunkConfig(width=8, layers=28, heads=2, kv_heads=1, mlp=6, vocabulary=20, rope_theta=1e6),
    VitConfig(layers=26, width=4, heads=2, mlp=5, patch=2, height=4, breadth=4, max_side=3),
    LatentConfig(height=4, breadth=4, channels=2, patch=2, max_side=4),
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """As `ema.safetensors` has them, the two tables with numbers that nobody should believe."""
    with torch.device("meta"):
        shapes = {their_name(name): tensor.shape for name, tensor in UmmNet(NARROW).state_dict().items()}
    sides = dict(zip(TABLES, (NARROW.latent.max_side, NARROW.vit.max_side), strict=True))
    tables = {name: torch.zeros(side**2, NARROW.trunk.width) for name, side in sides.items()}
    generator = torch.Generator().manual_seed(0)
    return {**{name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}, **tables}


def write_bagel(folder: Path, tensors: dict[str, torch.Tensor], cfg: UmmConfig = NARROW) -> Path:
    trunk, vit = cfg.trunk, cfg.vit
    language = {
        "hidden_size": trunk.width,
        "num_hidden_layers": trunk.layers,
        "num_attention_heads": trunk.heads,
        "num_key_value_heads": trunk.kv_heads,
        "intermediate_size": trunk.mlp,
        "vocab_size": trunk.vocabulary,
        "rope_theta": trunk.rope_theta,
    }
    vision = {
        "hidden_size": vit.width,
        "num_hidden_layers": vit.layers + 1,
        "num_attention_heads": vit.heads,
        "intermediate_size": vit.mlp,
        "patch_size": vit.patch,
        "image_size": vit.patch * vit.max_side,
    }
    (folder / "llm_config.json").write_text(json.dumps(language))
    (folder / "vit_config.json").write_text(json.dumps(vision))
    save_file(tensors, str(folder / BAGEL_WEIGHTS))
    return folder


def test_all_1223_names_of_bagel_are_known_and_load(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert len(tensors) == 1223
    net = load_bagel(write_bagel(tmp_path, tensors), dtype=None, cfg=NARROW)
    assert net.cfg == NARROW
    loaded = {their_name(name): tensor for name, tensor in net.state_dict().items()}
    assert set(tensors) - set(loaded) == set(TABLES)
    assert [name for name, tensor in loaded.items() if not torch.equal(tensor, tensors[name])] == []
    torch.testing.assert_close(net.latent_place, sine_table(8, (2, 2)))  # computed, not read


def test_some_names_are_bagels(tensors: dict[str, torch.Tensor]) -> None:
    names = set(tensors)
    assert {
        "language_model.model.layers.27.self_attn.q_proj_moe_gen.bias",
        "language_model.model.layers.0.self_attn.k_norm_moe_gen.weight",
        "language_model.model.layers.3.mlp_moe_gen.gate_proj.weight",
        "language_model.model.layers.3.post_attention_layernorm_moe_gen.weight",
        "language_model.model.norm_moe_gen.weight",
        "language_model.lm_head.weight",
        "vit_model.vision_model.encoder.layers.25.self_attn.out_proj.bias",
        "vit_model.vision_model.embeddings.position_embedding.weight",
        "vit_model.vision_model.post_layernorm.bias",
        "time_embedder.mlp.2.bias",
        "vae2llm.weight",
        "llm2vae.bias",
        "connector.fc2.weight",
    } <= names


def test_the_two_tables_may_be_missing_and_nothing_else(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    bare = {name: tensor for name, tensor in tensors.items() if name not in TABLES}
    load_bagel(write_bagel(tmp_path, bare), cfg=NARROW)
    del bare["llm2vae.bias"]
    with pytest.raises(ContractError, match=r"1 missing: llm2vae.bias"):
        load_bagel(write_bagel(tmp_path, bare), cfg=NARROW)


def test_unknown_and_misshapen_weights_are_listed(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    wrong = {**tensors, "vit_model.head.probe": torch.zeros(1), "connector.fc1.bias": torch.zeros(9)}
    with pytest.raises(ContractError, match=r"1 unknown: vit_model.head.probe; 1 of another shape: connector.fc1.bias"):
        load_bagel(write_bagel(tmp_path, wrong), cfg=NARROW)


@pytest.mark.parametrize("quantize", ["none", "int8", "nf4"])
def test_bagel_comes_in_bfloat16_or_fewer_bits_and_computes(
    tensors: dict[str, torch.Tensor], tmp_path: Path, quantize: str
) -> None:
    net = load_bagel(write_bagel(tmp_path, tensors), cfg=NARROW, quantize=quantize)
    assert net.dtype is torch.bfloat16
    assert {p.dtype for p in net.parameters()} == {torch.bfloat16}
    moment = clean_views(NARROW, 1, 0, views=1)
    blocks = (Block(Kind.LATENT, view=0, tokens=4), Block(Kind.VIT, view=0, tokens=4), text((3, 4)))
    layout = rows([make_layout(blocks, Markers(1, 2))])
    with torch.no_grad():
        hidden = net.whole(layout, net.image_tokens(images(layout, [moment])))
    assert hidden.dtype is torch.bfloat16
    assert bool(net.logits(hidden).isfinite().all())


def test_sizes_come_from_the_files_and_the_rest_from_the_preset(tmp_path: Path) -> None:
    bagel = preset("bagel_7b")
    folder = write_bagel(tmp_path, {}, replace(bagel, trunk=replace(bagel.trunk, layers=30)))
    found = bagel_config(folder, bagel)
    assert found.trunk.layers == 30
    assert found.vit == bagel.vit
    assert found.sampler == bagel.sampler
    (folder / "vit_config.json").write_text("{}")
    with pytest.raises(ContractError, match="patch_size"):
        bagel_config(folder, bagel)


def test_presets_have_the_sizes_that_they_say() -> None:
    counts = {}
    for name in PRESETS:
        with torch.device("meta"):
            state = UmmNet(preset(name)).state_dict()
        counts[name] = (sum(tensor.numel() for tensor in state.values()), len(state))
    tables = (70**2 + 64**2) * 3584
    assert (counts["bagel_7b"][0] + tables, counts["bagel_7b"][1] + len(TABLES)) == (14_607_260_128, 1223)
    assert 1e6 < counts["tiny"][0] < 4e6
    assert 0.3e9 < counts["small"][0] < 0.5e9


def test_bagel_has_the_papers_table_4() -> None:
    cfg = preset("bagel_7b")
    assert (cfg.loss.ce_weight, cfg.loss.mse_weight, cfg.timestep_shift, cfg.latent.max_side) == (0.01, 1.0, 4.0, 64)
    sampler = cfg.sampler
    assert (sampler.guided_from, sampler.guided_to, sampler.text_scale, sampler.image_scale) == (0.4, 1.0, 6.0, 2.0)


def test_ours_come_back_as_they_were_saved_and_the_version_names_the_bytes(tmp_path: Path) -> None:
    net = small_net()
    version = save_net(net, tmp_path)
    loaded, again = load_net(tmp_path)
    assert version == again
    assert loaded.cfg == net.cfg
    there = loaded.state_dict()
    assert [name for name, tensor in net.state_dict().items() if not torch.equal(there[name], tensor)] == []
    assert torch.equal(loaded.vit_place, net.vit_place)
    assert save_net(small_net(seed=1), tmp_path) != version


def test_damaged_files_of_ours_are_refused(tmp_path: Path) -> None:
    save_net(small_net(), tmp_path)
    tensors = load_file(str(tmp_path / "umm.safetensors"))
    save_file({**tensors, "extra": torch.zeros(1)}, str(tmp_path / "umm.safetensors"))
    with pytest.raises(ContractError, match="1 unknown: extra"):
        load_net(tmp_path)
    (tmp_path / "umm.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ContractError, match="is not a whole safetensors file"):
        load_net(tmp_path)
    (tmp_path / "umm.json").unlink()
    with pytest.raises(ContractError, match="cannot be read"):
        load_net(tmp_path)


def test_settings_go_through_a_file_and_wrong_ones_are_refused() -> None:
    assert build(UmmConfig, nested(SMALL), "here") == SMALL
    with pytest.raises(ConfigError, match="must be a multiple"):
        replace(SMALL, trunk=replace(SMALL.trunk, heads=5))
    with pytest.raises(ConfigError, match="positions for 1"):
        replace(SMALL, latent=replace(SMALL.latent, max_side=1))
    with pytest.raises(UnknownName):
        preset("bagel")
