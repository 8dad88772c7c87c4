"""Packages that only learned models need."""

from __future__ import annotations

import importlib
from typing import Any

from vla_mbpo_ros.errors import MissingDependency


def need(package: str) -> Any:
    """The package, or an error that names what to install."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.split(".")[0]:
            raise
        cure = "pip install 'vla_mbpo_ros[learn]'; torch itself first, as pytorch.org says for your machine."
        raise MissingDependency(f"'{package}' is not installed.", cure) from error
