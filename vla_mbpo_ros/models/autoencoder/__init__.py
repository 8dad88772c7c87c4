"""Pictures to a few numbers and back: what a world model imagines in.

    config.py      sizes, and the two that we use: `TINY` for 64x64 pictures, `FLUX` as Bagel has it
    net.py         the convolutions; the names of parameters are those of FLUX's autoencoder
    model.py       `Autoencoder`: encode, decode, version
    files.py       from and to safetensors, by name and strict

    pixels (B, 3, H, W) in [-1, 1] ──encode──> latents (B, C, H/d, W/d) ──decode──> pixels

Imports torch. `world_model` and `algorithms` may enter. No ROS.
"""

from vla_mbpo_ros.models.autoencoder.config import FLUX, TINY, AutoencoderConfig
from vla_mbpo_ros.models.autoencoder.files import load_autoencoder, load_flux, save_autoencoder
from vla_mbpo_ros.models.autoencoder.model import Autoencoder

__all__ = [
    "FLUX",
    "TINY",
    "Autoencoder",
    "AutoencoderConfig",
    "load_autoencoder",
    "load_flux",
    "save_autoencoder",
]
