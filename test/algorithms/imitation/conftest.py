from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def large() -> Any:
    """`large.py` beside this file: small cases of large policies."""
    pytest.importorskip("torch", reason="torch is not installed")
    path = Path(__file__).with_name("large.py")
    spec = importlib.util.spec_from_file_location("large", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
