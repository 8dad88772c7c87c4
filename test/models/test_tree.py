from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ContractError, MissingDependency  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.models import tree  # noqa: E402
from vla_mbpo_ros.models.need import need  # noqa: E402


@dataclass(frozen=True)
class Content:
    layers: list[tuple[torch.Tensor, torch.Tensor]]
    named: dict[str, Any]


def _content(rows: int) -> Content:
    x = torch.arange(rows * 2, dtype=torch.float32).reshape(rows, 2)
    return Content([(x, x + 100.0), (x + 200.0, x + 300.0)], {"mask": x > 3.0, "none": None})


def test_rows_are_taken_of_every_tensor() -> None:
    taken = tree.select(_content(4), [3, 0, 3])
    assert taken.layers[1][1].tolist() == [[306.0, 307.0], [300.0, 301.0], [306.0, 307.0]]
    assert taken.named["mask"].tolist() == [[True, True], [False, False], [True, True]]
    assert taken.named["none"] is None


def test_parts_put_together_are_the_whole() -> None:
    whole = _content(5)
    again = tree.cat([tree.select(whole, [0, 1]), tree.select(whole, [2]), tree.select(whole, [3, 4])])
    assert torch.equal(again.layers[0][1], whole.layers[0][1])
    assert isinstance(again.layers[0], tuple)


def test_detached_rows_have_no_gradient() -> None:
    x = torch.ones(2, requires_grad=True)
    assert not tree.detach({"x": x * 2.0})["x"].requires_grad


def test_memory_is_counted() -> None:
    assert tree.nbytes(_content(4)) == 4 * (4 * 2 * 4) + 4 * 2


def test_what_is_no_tree_is_refused() -> None:
    with pytest.raises(ContractError, match="str is no tree"):
        tree.select(("text",), [0])


def test_a_package_that_is_not_there_is_an_error_with_its_cure() -> None:
    with pytest.raises(MissingDependency, match=r"no_such_package.*vla_mbpo_ros\[learn\]"):
        need("no_such_package")
    assert need("torch") is torch
