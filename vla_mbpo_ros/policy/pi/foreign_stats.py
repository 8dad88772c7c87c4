"""Normalisation statistics as openpi and lerobot keep them beside their weights.

| layout | file | kind |
|---|---|---|
| openpi | `assets/NAME/norm_stats.json` | both may be in it; pi0.5 takes the quantiles, pi0 mean and deviation |
| lerobot | `policy_preprocessor.json`, and the safetensors file that its normaliser names | as its `norm_map` says |
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.models.need import need
from vla_mbpo_ros.models.weights import read_header, refuse_pickle
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Z_SCORE, Columns, Normalisation, quantile, z_score

Names = Sequence[str]
PREPROCESSOR = "policy_preprocessor.json"
OPENPI_EPS, LEROBOT_EPS = 1e-6, 1e-8  # what they add to a spread, so that nothing is divided by 0
_NEEDED = {QUANTILE: ("q01", "q99"), Z_SCORE: ("mean", "std")}
_MODES = {"QUANTILES": QUANTILE, "MEAN_STD": Z_SCORE}


def openpi_stats(folder: Path, kind: str, assets: str, state_names: Names, action_names: Names) -> Normalisation:
    """Of that kind; `assets` names one of several robots, empty takes the only one."""
    path = _norm_stats(folder, assets)
    data = read_json(path)
    data = data.get("norm_stats", data)
    parts = []
    for key, names, what in (("state", state_names, "state"), ("actions", action_names, "action")):
        columns = data.get(key)
        if not isinstance(columns, dict):
            raise ContractError(f"{path} has no statistics of '{key}', only of {', '.join(data)}.", _CURE)
        parts.append(_columns(columns, kind, OPENPI_EPS, names, "needed are", f"{path} ({what})", what))
    return Normalisation(kind, *parts)


def lerobot_stats(folder: Path, state_names: Names, action_names: Names) -> Normalisation:
    """As the checkpoint's own preprocessor says."""
    path = folder / PREPROCESSOR
    if not path.is_file():
        raise ContractError(f"{folder} has no {PREPROCESSOR}: its statistics are missing.", _CURE)
    step = _normaliser(path)
    config = step.get("config", {})
    mode = _mode(config.get("norm_map", {}), path)
    tensors = _stats_file(folder, step, path)
    eps = float(config.get("eps", LEROBOT_EPS))
    parts = []
    for key, names, what in (("observation.state", state_names, "state"), ("action", action_names, "action")):
        found = {name.rsplit(".", 1)[1]: value for name, value in tensors.items() if name.rsplit(".", 1)[0] == key}
        parts.append(_columns(found, mode, eps, names, "it speaks of", f"{path} ({what})", what))
    return Normalisation(mode, *parts)


def read_json(path: Path) -> dict[str, Any]:
    refuse_pickle(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ContractError(f"Cannot read {path}: {error}.", "Copy it again.") from error
    if not isinstance(data, dict):
        raise ContractError(f"{path} holds a {type(data).__name__}.", "Give the folder of a whole checkpoint.")
    return data


_CURE = "A policy is useless without the statistics that it was trained with: get them where its weights are from."


def _norm_stats(folder: Path, assets: str) -> Path:
    found = sorted([*folder.glob("norm_stats.json"), *(folder / "assets").glob("**/norm_stats.json")])
    if assets:
        found = [path for path in found if path.parent == folder / "assets" / assets]
    if len(found) == 1:
        return found[0]
    if not found:
        what = f"assets/{assets}/norm_stats.json" if assets else "norm_stats.json"
        raise ContractError(f"{folder} has no {what}: its statistics are missing.", _CURE)
    names = ", ".join(str(path.parent.relative_to(folder)) for path in found)
    raise ConfigError(f"{folder} has statistics of several robots: {names}.", "Say which (`assets`).")


def _columns(found: Mapping[str, Any], kind: str, eps: float, names: Names, who: str, where: str, what: str) -> Columns:
    lacking = [key for key in _NEEDED[kind] if found.get(key) is None]
    if lacking:
        has = ", ".join(key for key, value in found.items() if value is not None) or "nothing"
        raise ContractError(f"{where} has {has}; {who} {kind} statistics ({', '.join(_NEEDED[kind])}).", _CURE)
    first, second = (np.asarray(found[key], dtype=np.float64).reshape(-1) for key in _NEEDED[kind])
    if names and len(names) != len(first):
        cause = f"{where} has {len(first)} columns, {len(names)} names came ({', '.join(names)})."
        raise ContractError(cause, "These weights are for another robot, or give the names they were trained with.")
    given = tuple(names) or tuple(f"{what}_{index}" for index in range(len(first)))
    return (quantile if kind == QUANTILE else z_score)(given, first, second, eps)


def _normaliser(path: Path) -> dict[str, Any]:
    for step in read_json(path).get("steps", []):
        if isinstance(step, dict) and step.get("registry_name") == "normalizer_processor":
            return step
    raise ContractError(f"{path} names no normaliser.", _CURE)


def _mode(norm_map: Mapping[str, str], path: Path) -> str:
    modes = {what: str(norm_map.get(what, "IDENTITY")) for what in ("STATE", "ACTION")}
    if len(set(modes.values())) != 1 or modes["STATE"] not in _MODES:
        told = ", ".join(f"{what} {mode}" for what, mode in modes.items())
        cause = f"{path} normalises {told}."
        raise ContractError(cause, f"Known here is one of {', '.join(_MODES)} for both.")
    return _MODES[modes["STATE"]]


def _stats_file(folder: Path, step: Mapping[str, Any], path: Path) -> dict[str, Any]:
    name = str(step.get("state_file", ""))
    if not name or Path(name).name != name:
        raise ContractError(f"{path} names no file with its statistics.", _CURE)
    weights = read_header(folder / name)
    with need("safetensors").safe_open(str(weights.path), framework="np") as file:
        return {key: file.get_tensor(key) for key in weights.shapes}
