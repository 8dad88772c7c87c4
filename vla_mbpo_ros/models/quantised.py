"""Linear layers whose weights are kept in 8 or 4 bits and made whole again whenever they are used.

    int8   w ≈ scale · q          q in -127 … 127, one scale for each row (an output); error <= scale / 2
    nf4    w ≈ scale · level[c]   c in 0 … 15, one scale for 64 numbers side by side, their greatest; two codes a byte

The 16 levels are those of NormalFloat4 (QLoRA, arXiv:2305.14314): each stands for an equal share of a normal
distribution, and zero is one of them. They are quantiles at even steps of probability, eight above zero and seven
below, from the middle out to `_EDGE`, divided by the greatest. QLoRA packs the scales too (double quantisation); here
they are bfloat16, a quarter of a bit for each weight.

Only memory is saved, not time: a layer is unpacked before each product. Plain torch, on any device, for inference
only: no gradient reaches the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.models.weights import Shape

BLOCK = 64  # numbers with one scale, in nf4
_LARGEST = 127  # of int8; -128 is left out, so that both signs reach equally far
# the outermost probability: half a sixteenth and half a fifteenth from the end, averaged
_EDGE = 1.0 - 0.5 * (1.0 / 32.0 + 1.0 / 30.0)
_TINY = 1e-12  # the scale of nothing but zeros


@dataclass(frozen=True)
class Format:
    """How a weight is kept: as `codes` and `scale`."""

    pack: Callable[[Tensor], tuple[Tensor, Tensor]]
    unpack: Callable[[Tensor, Tensor, Shape], Tensor]  # float32, of that shape


def nf4_levels(device: torch.device | str = "cpu") -> Tensor:
    """(16,) float32 from -1 to 1, rising; number 7 is zero."""
    above, below = (torch.linspace(_EDGE, 0.5, n, dtype=torch.float64, device="cpu")[:-1] for n in (9, 8))
    zero = torch.zeros(1, dtype=torch.float64, device="cpu")
    levels = torch.cat([-torch.special.ndtri(below), zero, torch.special.ndtri(above).flip(0)])
    return (levels / levels.max()).float().to(device)


def _pack_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) -> codes (out, in), scale (out,)"""
    wide = weight.float()
    scale = wide.abs().amax(dim=1).clamp(min=_TINY) / _LARGEST
    return (wide / scale[:, None]).round().to(torch.int8), scale


def _unpack_int8(codes: Tensor, scale: Tensor, shape: Shape) -> Tensor:
    return codes * scale[:, None]


def _pack_nf4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) -> codes (blocks · 32,), scale (blocks,); the last block is filled up with zeros"""
    flat = weight.float().flatten()
    blocks = F.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    # rounded as it is kept before the codes are chosen, so that they are the nearest to what will come out
    scale = blocks.abs().amax(dim=1).clamp(min=_TINY).to(torch.bfloat16)
    levels = nf4_levels(weight.device)
    middles = (levels[1:] + levels[:-1]) / 2.0
    codes = torch.bucketize(blocks / scale.float()[:, None], middles).to(torch.uint8).flatten()
    return codes[::2] * 16 + codes[1::2], scale


def _unpack_nf4(codes: Tensor, scale: Tensor, shape: Shape) -> Tensor:
    levels = nf4_levels(codes.device)
    pairs = torch.stack([levels.repeat_interleave(16), levels.repeat(16)], dim=1)  # (256, 2) of a byte
    blocks = F.embedding(codes.int(), pairs).view(-1, BLOCK) * scale.float()[:, None]
    return blocks.flatten()[: shape[0] * shape[1]].view(shape)


FORMATS = {"int8": Format(_pack_int8, _unpack_int8), "nf4": Format(_pack_nf4, _unpack_nf4)}


class PackedLinear(nn.Module):
    """In a linear layer's place."""

    codes: Tensor
    scale: Tensor

    def __init__(self, form: str, layer: nn.Linear) -> None:
        super().__init__()
        self.form, self.shape = form, tuple(layer.weight.shape)
        for name, tensor in self.pack(layer.weight.detach()).items():
            self.register_buffer(name, tensor)
        self.bias = layer.bias

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        """What is kept of a weight (out, in)."""
        codes, scale = FORMATS[self.form].pack(weight)
        return {"codes": codes, "scale": scale}

    def weight(self) -> Tensor:
        """(out, in) float32, made whole."""
        return FORMATS[self.form].unpack(self.codes, self.scale, self.shape)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight().to(x.dtype), self.bias)


def pack_linears(module: nn.Module, form: str) -> None:
    """Every linear layer inside of `module` is replaced by one that is packed, also on the meta device."""
    if form not in FORMATS:
        raise UnknownName("format of weights", form, FORMATS)
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(form, child))
        else:
            pack_linears(child, form)


def packed(net: nn.Module, name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor of the whole network -> what `net`, which has packed layers, keeps of it."""
    owner, _, leaf = name.rpartition(".")
    layer = net.get_submodule(owner)
    if isinstance(layer, PackedLinear) and leaf == "weight":
        return {f"{owner}.{part}": one for part, one in layer.pack(tensor).items()}
    return {name: tensor}


def is_packed(module: nn.Module) -> bool:
    return any(isinstance(one, PackedLinear) for one in module.modules())
