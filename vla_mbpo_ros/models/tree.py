"""Nested tensors whose first dimension is the batch: key-value caches, encoded observations.

A tree is a tensor, None, or a tuple, list, dict or dataclass of trees. Whatever is done is done to every tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError


def tree_map(change: Callable[..., Any], *trees: Any) -> Any:
    """`change` of the tensors at the same place in every tree; the first one gives the form."""
    first = trees[0]
    if isinstance(first, Tensor):
        return change(*trees)
    if first is None:
        return None
    if isinstance(first, dict):
        return {key: tree_map(change, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, (tuple, list)):
        return type(first)(tree_map(change, *parts) for parts in zip(*trees, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        parts = {item.name: tree_map(change, *(getattr(tree, item.name) for tree in trees)) for item in fields(first)}
        return replace(first, **parts)
    raise ContractError(f"A {type(first).__name__} is no tree of tensors.", "This policy's prefix cannot be split.")


def select(tree: Any, rows: Sequence[int]) -> Any:
    """These rows, in this order; a row may come twice."""

    def take(tensor: Tensor) -> Tensor:
        return tensor.index_select(0, torch.tensor(list(rows), dtype=torch.long, device=tensor.device))

    return tree_map(take, tree)


def cat(trees: Sequence[Any]) -> Any:
    """One after the other, along the batch."""
    return tree_map(lambda *parts: torch.cat(parts), *trees)


def detach(tree: Any) -> Any:
    return tree_map(lambda tensor: tensor.detach(), tree)


def move(tree: Any, device: torch.device | str) -> Any:
    return tree_map(lambda tensor: tensor.to(device), tree)


def nbytes(tree: Any) -> int:
    """Memory of all tensors in it."""
    sizes: list[int] = []
    tree_map(lambda tensor: sizes.append(tensor.numel() * tensor.element_size()), tree)
    return sum(sizes)
