from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.models.autoencoder import FLUX, TINY, Autoencoder  # noqa: E402
from vla_mbpo_ros.models.autoencoder.net import Attention  # noqa: E402


def test_the_small_one_makes_sixteen_tokens_of_a_view() -> None:
    model = Autoencoder(TINY)
    assert 300_000 < sum(parameter.numel() for parameter in model.parameters()) < 550_000
    latents = model.encode(torch.zeros(2, 3, 64, 64))
    assert latents.shape == (2, model.latent_channels, 64 // model.downsample, 64 // model.downsample) == (2, 32, 4, 4)
    assert model.decode(latents).shape == (2, 3, 64, 64)


def test_flux_at_its_true_size_has_244_tensors_and_83_8_million_numbers() -> None:
    with torch.device("meta"):
        model = Autoencoder(FLUX)
        latents = model.encode(torch.zeros(1, 3, 256, 256, device="meta"))
    assert len(model.state_dict()) == 244
    assert sum(parameter.numel() for parameter in model.parameters()) == 83_819_683
    assert (latents.shape, model.downsample) == ((1, 16, 32, 32), 8)
    assert model.decode(latents).shape == (1, 3, 256, 256)


def test_names_and_shapes_are_flux_s() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Autoencoder(FLUX).state_dict().items()}
    known = {
        "encoder.conv_in.weight": (128, 3, 3, 3),
        "encoder.down.0.block.1.conv2.weight": (128, 128, 3, 3),
        "encoder.down.1.block.0.nin_shortcut.weight": (256, 128, 1, 1),
        "encoder.down.2.downsample.conv.weight": (512, 512, 3, 3),
        "encoder.mid.attn_1.proj_out.weight": (512, 512, 1, 1),
        "encoder.norm_out.bias": (512,),
        "encoder.conv_out.weight": (32, 512, 3, 3),
        "decoder.conv_in.weight": (512, 16, 3, 3),
        "decoder.mid.block_2.norm1.weight": (512,),
        "decoder.up.0.block.0.nin_shortcut.weight": (128, 256, 1, 1),
        "decoder.up.1.block.0.nin_shortcut.weight": (256, 512, 1, 1),
        "decoder.up.3.block.2.conv1.weight": (512, 512, 3, 3),
        "decoder.up.3.upsample.conv.weight": (512, 512, 3, 3),
        "decoder.conv_out.weight": (3, 128, 3, 3),
    }
    assert {name: shapes.get(name) for name in known} == known
    absent = ("encoder.down.3.downsample.conv.weight", "decoder.up.0.upsample.conv.weight")
    assert not [name for name in absent if name in shapes]


def test_without_a_generator_the_mean_comes_and_with_one_a_draw(small_flux: Autoencoder, pixels: torch.Tensor) -> None:
    said = small_flux.encoder(pixels)
    mean, deviation = said[:, :4], torch.exp(0.5 * said[:, 4:])
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3))
    drawn = small_flux.encode(pixels, torch.Generator().manual_seed(3))
    torch.testing.assert_close(small_flux.encode(pixels), 0.3611 * (mean - 0.1159))
    torch.testing.assert_close(drawn, 0.3611 * (mean + deviation * noise - 0.1159))


def test_decoding_undoes_scale_and_shift(small_flux: Autoencoder, pixels: torch.Tensor) -> None:
    latents = small_flux.encode(pixels)
    inner = latents / 0.3611 + 0.1159
    assert torch.equal(small_flux.decode(latents), small_flux.decoder(inner))


def test_a_row_does_not_depend_on_its_company(small_flux: Autoencoder, pixels: torch.Tensor) -> None:
    torch.testing.assert_close(small_flux.encode(pixels)[1:], small_flux.encode(pixels[1:]))


def test_attention_that_sees_one_place_is_its_own_value() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 4)
    x = torch.randn(2, 8, 1, 1)
    torch.testing.assert_close(attention(x), x + attention.proj_out(attention.v(attention.norm(x))))


def test_the_version_follows_weights_settings_and_type(small_flux: Autoencoder) -> None:
    twin = Autoencoder(small_flux.cfg)
    assert twin.version != small_flux.version
    twin.load_state_dict(small_flux.state_dict())
    assert twin.version == small_flux.version
    seen = {twin.version}
    with torch.no_grad():
        twin.decoder.conv_out.bias[0] += 1e-6
    seen.add(twin.version)
    twin.cfg = replace(twin.cfg, scale=0.5)
    seen.add(twin.version)
    seen.add(twin.to(torch.bfloat16).version)
    assert len(seen) == 4


def test_calibrated_latents_have_mean_0_and_deviation_1() -> None:
    torch.manual_seed(0)
    model, shown = Autoencoder(), torch.rand(4, 3, 64, 64)
    before = model.decode(model.encode(shown))
    model.calibrate(shown)
    latents = model.encode(shown).detach()
    assert (float(latents.mean()), float(latents.std())) == (pytest.approx(0.0, abs=1e-4), pytest.approx(1.0, abs=1e-4))
    torch.testing.assert_close(model.decode(latents), before, atol=1e-4, rtol=1e-4)


def test_sizes_that_do_not_fit_are_refused(small_flux: Autoencoder) -> None:
    for wrong in (torch.zeros(1, 3, 20, 32), torch.zeros(3, 32, 32), torch.zeros(1, 1, 32, 32)):
        with pytest.raises(ContractError, match="multiples of 8"):
            small_flux.encode(wrong)
    with pytest.raises(ConfigError, match="multiples of the number of groups"):
        replace(TINY, widths=(24, 44))
