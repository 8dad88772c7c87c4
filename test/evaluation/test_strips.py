from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.strips import GAP, LABELS, TOP, draw_strip


def _flat(value: int, count: int = 3) -> np.ndarray:
    return np.full((count, 8, 16, 3), value, np.uint8)


def test_truth_stands_over_dream_and_chunks_beside_each_other(tmp_path: Path) -> None:
    truth = _flat(10)
    truth[2] = 99
    rows = {"head": {"truth": truth, "dream": _flat(20)}, "wrist": {"truth": _flat(30), "dream": _flat(40)}}
    page = np.asarray(Image.open(draw_strip(rows, tmp_path / "new" / "strip.png", side=64)))
    middle = TOP + 16
    assert page[middle, LABELS + 5].tolist() == [10] * 3
    assert page[middle, LABELS + 2 * (64 + GAP) + 5].tolist() == [99] * 3
    column = page[:, LABELS + 5, 0]
    order = [value for value in dict.fromkeys(column.tolist()) if value in (10, 20, 30, 40)]
    assert order == [10, 20, 30, 40]
    assert all((column == value).sum() == 32 for value in order)  # 8 x 16 at a width of 64: not stretched


def test_labels_and_titles_are_written(tmp_path: Path) -> None:
    def ink(titles: tuple[str, ...]) -> int:
        page = np.asarray(Image.open(draw_strip({"head": {"truth": _flat(255)}}, tmp_path / "strip.png", titles)))
        return int((page[:TOP] < 200).sum())

    assert 0 < ink((".", ".", ".")) < ink(("before", "after", "later")) != ink(())


def test_rows_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    for rows in ({}, {"head": {"truth": _flat(1), "dream": _flat(1, count=2)}}, {"head": {"truth": _flat(1, count=0)}}):
        with pytest.raises(ContractError, match="cannot be drawn"):
            draw_strip(rows, tmp_path / "strip.png")
