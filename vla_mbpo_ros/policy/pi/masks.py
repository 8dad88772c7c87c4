"""Who may look at whom. Rows ask, columns are looked at, 1 is allowed.

Two images of two tokens each, the second camera missing, and a prompt of two words padded to three:

                 a a  b b  w w .                       valid = 1 1  0 0  1 1 0
        a        1 1  0 0  1 1 0
        a        1 1  0 0  1 1 0        The trunk looks both ways: images see the prompt and the prompt the
        b        1 1  0 0  1 1 0        images. What is missing or padding is seen by nobody; its own rows are
        b        1 1  0 0  1 1 0        computed and thrown away (a row without a 1 would be a division by 0).
        w        1 1  0 0  1 1 0
        w        1 1  0 0  1 1 0
        .        1 1  0 0  1 1 0

The expert comes after it: a state token (pi0 only) and K = 3 steps. Nobody in the trunk sees them, so the trunk can
be computed once and kept:

                 a a  b b  w w .   s  1 2 3
        s        1 1  0 0  1 1 0   1  0 0 0     the state does not see the actions,
        1        1 1  0 0  1 1 0   1  1 1 1     the steps see the state and each other, both ways
        2        1 1  0 0  1 1 0   1  1 1 1
        3        1 1  0 0  1 1 0   1  1 1 1

Places count valid tokens only: a a w w are 0 1 2 3, then s is 4 and the steps 5 6 7.
"""

from __future__ import annotations

import torch
from torch import Tensor


def trunk_mask(valid: Tensor) -> Tensor:
    """(B, P) bool -> (B, 1, 1, P): the same for every row."""
    return valid[:, None, None, :]


def expert_mask(valid: Tensor, state_tokens: int, steps: int) -> Tensor:
    """(B, P) bool -> (B, 1, Q, P + Q) with Q = state_tokens + steps."""
    own = torch.ones(state_tokens + steps, state_tokens + steps, dtype=torch.bool, device=valid.device)
    own[:state_tokens, state_tokens:] = False
    rows = valid.shape[0]
    before = valid[:, None, :].expand(rows, len(own), valid.shape[1])
    return torch.cat([before, own[None].expand(rows, -1, -1)], dim=2)[:, None]


def trunk_places(valid: Tensor) -> Tensor:
    """(B, P) bool -> (B, P) int64"""
    return (valid.long().cumsum(dim=1) - 1).clamp(min=0)


def expert_places(valid: Tensor, tokens: int) -> Tensor:
    """(B, P) bool -> (B, Q) int64, going on where the trunk ended."""
    own = torch.arange(tokens, device=valid.device)
    return valid.long().sum(dim=1, keepdim=True) + own
