"""Networks from and to safetensors: ours, and Bagel's public checkpoint.

    ours    umm.json (settings)   umm.safetensors
    Bagel   llm_config.json   vit_config.json   ema.safetensors      (ae.safetensors is `load_flux`'s)

Only tensors are read, onto the device where they are wanted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vla_mbpo_ros.config_io import build, nested
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.quantised import is_packed, pack_linears, packed
from vla_mbpo_ros.models.weights import Shape, Weights, each, hash_files, read_header, refuse_unlike, save
from vla_mbpo_ros.world_model.folder import read_json
from vla_mbpo_ros.world_model.umm.bagel_keys import match
from vla_mbpo_ros.world_model.umm.config import TrunkConfig, UmmConfig, VitConfig, preset
from vla_mbpo_ros.world_model.umm.net import UmmNet

SETTINGS, WEIGHTS = "umm.json", "umm.safetensors"
WHOLE = "none"  # how weights are kept that are not packed
BAGEL_WEIGHTS, BAGEL_TRUNK, BAGEL_VIT = "ema.safetensors", "llm_config.json", "vit_config.json"


def save_net(net: UmmNet, folder: Path) -> str:
    """Settings and weights; gives the version."""
    if is_packed(net):
        raise ContractError("The network's weights are packed.", "Save the whole ones, and pack them when they load.")
    folder.mkdir(parents=True, exist_ok=True)
    save(net.state_dict(), folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(nested(net.cfg), indent=1) + "\n", encoding="utf-8")
    return version_of(folder / SETTINGS, folder / WEIGHTS)


def read_config(folder: Path) -> UmmConfig:
    """Of a network that `save_net` has written."""
    return build(UmmConfig, read_json(folder / SETTINGS), str(folder / SETTINGS))


def load_net(folder: Path, device: str = "cpu", quantize: str = WHOLE) -> tuple[UmmNet, str]:
    """One that `save_net` has written, and its version."""
    net = _empty(read_config(folder))
    weights = read_header(folder / WEIGHTS)
    ours = _shapes(net)
    refuse_unlike(str(folder), ours, weights.shapes)
    _fill(net, weights, {name: name for name in ours}, device, None, quantize)
    return net, version_of(folder / SETTINGS, folder / WEIGHTS)


def load_bagel(
    folder: Path,
    device: str = "cpu",
    dtype: torch.dtype | None = torch.bfloat16,
    cfg: UmmConfig | None = None,
    quantize: str = WHOLE,
) -> UmmNet:
    """Bagel-7B-MoT or a checkpoint of its form. `cfg` says all that its files do not: view sizes, sampler, losses."""
    cfg = bagel_config(folder, cfg or preset("bagel_7b"))
    net = _empty(cfg)
    weights = read_header(folder / BAGEL_WEIGHTS)
    names = match(_shapes(net), weights.shapes, str(folder))
    _fill(net, weights, names, device, dtype, quantize)
    return net


def bagel_config(folder: Path, cfg: UmmConfig) -> UmmConfig:
    """`cfg` with the sizes that the checkpoint's own files say."""
    trunk, vit = _Facts(folder / BAGEL_TRUNK), _Facts(folder / BAGEL_VIT)
    side = vit.whole("patch_size")
    return replace(
        cfg,
        trunk=TrunkConfig(
            width=trunk.whole("hidden_size"),
            layers=trunk.whole("num_hidden_layers"),
            heads=trunk.whole("num_attention_heads"),
            kv_heads=trunk.whole("num_key_value_heads"),
            mlp=trunk.whole("intermediate_size"),
            vocabulary=trunk.whole("vocab_size"),
            rope_theta=float(trunk.values.get("rope_theta", cfg.trunk.rope_theta)),
            norm_eps=float(trunk.values.get("rms_norm_eps", cfg.trunk.norm_eps)),
        ),
        vit=VitConfig(
            layers=vit.whole("num_hidden_layers") - 1,  # Bagel takes what the last but one layer says
            width=vit.whole("hidden_size"),
            heads=vit.whole("num_attention_heads"),
            mlp=vit.whole("intermediate_size"),
            patch=side,
            height=cfg.vit.height // cfg.vit.patch * side,
            breadth=cfg.vit.breadth // cfg.vit.patch * side,
            max_side=vit.whole("image_size") // side,
            norm_eps=float(vit.values.get("layer_norm_eps", cfg.vit.norm_eps)),
        ),
    )


def version_of(*paths: Path) -> str:
    """Names the network by the bytes of its files."""
    return f"umm-{hash_files(*paths)[:12]}"


def _empty(cfg: UmmConfig) -> UmmNet:
    """Without numbers."""
    with torch.device("meta"):
        return UmmNet(cfg)


def _shapes(net: UmmNet) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}


def quantise(net: UmmNet, form: str) -> None:
    """Keep the large weights, those inside the layers, in fewer bits (`models/quantised.py`). What comes before and
    after the layers stays as it is: 8 % of Bagel's numbers."""
    if form == WHOLE:
        return
    pack_linears(net.trunk.layers, form)
    if net.cfg.vit.layers:
        pack_linears(net.vit.layers, form)


def _fill(
    net: UmmNet, weights: Weights, names: Mapping[str, str], device: str, dtype: torch.dtype | None, quantize: str
) -> None:
    quantise(net, quantize)
    tensors: dict[str, Tensor] = {}
    for name, tensor in each(weights, names, device):  # one at a time: a network of 29 GB is never there whole
        tensors.update(packed(net, name, tensor.to(dtype)))
    net.load_state_dict(tensors, assign=True)
    net.make_tables(device)


class _Facts:
    """Whole numbers from one of Bagel's files."""

    def __init__(self, path: Path) -> None:
        self.path, self.values = path, read_json(path)

    def whole(self, name: str) -> int:
        value = self.values.get(name)
        if not isinstance(value, int):
            raise ContractError(f"{self.path} says {name} = {value!r}.", "Give the folder of a whole Bagel checkpoint.")
        return value
