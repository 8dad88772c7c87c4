"""The form of one check, and what many of them need."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

PROBE_LIMIT_S = 30.0  # a first import on a slow disk takes its time


@dataclass(frozen=True)
class Check:
    """`ok` without `required` may be False on a healthy machine; `cure` says what to do if it is wanted."""

    name: str
    ok: bool
    found: str
    cure: str = ""
    required: bool = False


def has_module(name: str) -> bool:
    """Whether it can be found; nothing but its parent package is imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def version_of(distribution: str) -> str:
    """Version that pip knows, or an empty text."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def module_check(name: str, module: str, cure: str, required: bool = False) -> Check:
    found = has_module(module)
    return Check(name, found, "present" if found else "not installed", "" if found else cure, required)


def probe(code: str, **environment: str) -> tuple[bool, str]:
    """Run `code` in a Python of its own: what it prints last, or the last line of its error."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=PROBE_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {PROBE_LIMIT_S:.0f} s"
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode == 0:
        return True, said[-1] if said else ""
    return False, said[-1] if said else f"exit code {done.returncode}"
