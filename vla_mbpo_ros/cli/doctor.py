"""`vla-mbpo doctor`: what is installed, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say

if TYPE_CHECKING:
    from vla_mbpo_ros.cli.checks.check import Check

_GROUPS = ("machine", "ros", "simulation", "hardware")
_DOC = "Tell what is installed, what is missing, and what to do."
_NOT_READY = 3  # as MissingDependency


def add(subparsers: Any) -> None:
    new_command(subparsers, "doctor", _DOC, run, "The exit code is 0 when nothing that is required is missing.")


def run(args: argparse.Namespace) -> int:
    checks = [check for group in _GROUPS for check in _run_group(group)]
    failed = [check for check in checks if check.required and not check.ok]
    result = {"ok": not failed, "checks": [asdict(check) for check in checks]}
    emit(args, result, lambda: _show(checks))
    if not failed:
        return 0
    say("error: " + " ".join(f"{check.name}: {check.found}. {check.cure}" for check in failed))
    return _NOT_READY


def _run_group(group: str) -> list[Check]:
    return list(importlib.import_module(f"vla_mbpo_ros.cli.checks.{group}").checks())


def _show(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "ok     " if check.ok else "MISSING" if check.required else "-      "
        print(f"{mark} {check.name:<{width}}  {check.found}")
        if check.cure:
            print(f"{'':<{width + 9}} {check.cure}")
