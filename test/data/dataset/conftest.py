"""Made-up bags in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vla_mbpo_ros.data.dataset.synthetic import write_synthetic_bag


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bags"


@pytest.fixture
def make_bag(folder: Path) -> Callable[..., Path]:
    """make_bag(name, **options of write_synthetic_bag): a failure unless told otherwise."""

    def make(name: str = "one", **options: Any) -> Path:
        return write_synthetic_bag(folder / name, **{"rows": 24, "outcome": "failure", **options})

    return make
