"""Libraries that only the exchange of data needs: imported when used, and asked for by name when absent."""

from __future__ import annotations

import importlib
from typing import Any

from vla_mbpo_ros.errors import MissingDependency


def need(module: str) -> Any:
    """The imported module."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise MissingDependency(f"'{package}' is not installed.", "pip install 'vla_mbpo_ros[formats]'") from error
