from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig  # noqa: E402 (after the check for torch)

# FLUX's build with few channels
SMALL_FLUX = AutoencoderConfig(
    widths=(8, 16, 32, 32),
    encoder_blocks=2,
    decoder_blocks=3,
    patch=1,
    latent_channels=4,
    groups=4,
    middle=True,
    sampled=True,
    scale=0.3611,
    shift=0.1159,
)


@pytest.fixture
def small_flux() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(SMALL_FLUX).eval()


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
