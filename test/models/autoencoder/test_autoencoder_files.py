from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from vla_mbpo_ros.errors import ContractError  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.models.autoencoder import (  # noqa: E402
    Autoencoder,
    load_autoencoder,
    load_flux,
    save_autoencoder,
)
from vla_mbpo_ros.models.autoencoder.files import SETTINGS, WEIGHTS  # noqa: E402


def _parts(prefix: str, *names: str) -> list[str]:
    return [f"{prefix}.{name}.{part}" for name in names for part in ("weight", "bias")]


def _flux_names() -> list[str]:
    """The layout of ae.safetensors, written down by hand and not by our network."""
    block, middle = ("norm1", "conv1", "norm2", "conv2"), ("block_1", "block_2")
    names = []
    for side, ways, blocks in (("encoder", "down", 2), ("decoder", "up", 3)):
        names += _parts(side, "conv_in", "norm_out", "conv_out")
        names += [name for part in middle for name in _parts(f"{side}.mid.{part}", *block)]
        names += _parts(f"{side}.mid.attn_1", "norm", "q", "k", "v", "proj_out")
        for level in range(4):
            for index in range(blocks):
                names += _parts(f"{side}.{ways}.{level}.block.{index}", *block)
        change, levels = ("downsample", (0, 1, 2)) if side == "encoder" else ("upsample", (1, 2, 3))
        names += [name for level in levels for name in _parts(f"{side}.{ways}.{level}.{change}", "conv")]
    wider = ("encoder.down.1.block.0", "encoder.down.2.block.0", "decoder.up.0.block.0", "decoder.up.1.block.0")
    return names + [name for place in wider for name in _parts(place, "nin_shortcut")]


def test_a_file_of_flux_s_layout_is_loaded_name_by_name(
    small_flux: Autoencoder, pixels: torch.Tensor, tmp_path: Path
) -> None:
    state = small_flux.state_dict()
    names = _flux_names()
    assert len(names) == len(set(names)) == 244
    path = tmp_path / "ae.safetensors"
    safetensors.save_file({name: state[name].contiguous() for name in names}, path)
    loaded = load_flux(path, small_flux.cfg)
    assert loaded.version == small_flux.version
    assert torch.equal(loaded.encode(pixels), small_flux.encode(pixels))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_what_does_not_fit_is_listed(small_flux: Autoencoder, tmp_path: Path) -> None:
    state = {name: tensor.contiguous() for name, tensor in small_flux.state_dict().items()}
    state["encoder.quant.weight"] = state.pop("encoder.conv_in.bias")
    state["decoder.conv_out.bias"] = torch.zeros(5)
    path = tmp_path / "ae.safetensors"
    safetensors.save_file(state, path)
    with pytest.raises(ContractError) as error:
        load_flux(path, small_flux.cfg)
    for part in (
        "1 missing: encoder.conv_in.bias",
        "1 unknown: encoder.quant.weight",
        "1 of another shape: decoder.conv_out.bias",
    ):
        assert part in str(error.value)


def test_a_pickle_and_a_torn_file_are_refused(small_flux: Autoencoder, tmp_path: Path) -> None:
    torn = tmp_path / "ae.safetensors"
    torn.write_bytes(b"\x10\x00")
    with pytest.raises(ContractError, match="cannot be read"):
        load_flux(torn, small_flux.cfg)
    with pytest.raises(ContractError, match="run a program"):
        load_flux(tmp_path / "ae.pt", small_flux.cfg)


def test_a_saved_one_comes_back_as_it_was(pixels: torch.Tensor, tmp_path: Path) -> None:
    model, folder = Autoencoder().eval(), tmp_path / "tiny"
    model.calibrate(torch.rand(2, 3, 32, 32))
    save_autoencoder(model, folder)
    save_autoencoder(model, folder)  # over the old one
    loaded = load_autoencoder(folder)
    assert (loaded.cfg, loaded.version) == (model.cfg, model.version)
    assert torch.equal(loaded.encode(pixels), model.encode(pixels))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    model, folder = Autoencoder(), tmp_path / "tiny"
    save_autoencoder(model, folder)
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(ContractError, match="changed or mixed up"):
        load_autoencoder(folder)
    (folder / SETTINGS).write_text("{}")
    with pytest.raises(ContractError, match="no autoencoder that can be read"):
        load_autoencoder(folder)
