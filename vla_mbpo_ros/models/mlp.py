"""A plain multi-layer perceptron, for heads on features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class Mlp(nn.Module):
    """Layers of the given widths with `act` between them. The last layer starts at zero when `zero_last`."""

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int, act: type[nn.Module], zero_last: bool) -> None:
        super().__init__()
        widths = (inputs, *hidden)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1], outputs)
        self.act = act()
        if zero_last:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = self.act(layer(x))
        result: Tensor = self.last(x)
        return result
