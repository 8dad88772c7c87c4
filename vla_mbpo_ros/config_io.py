"""Reading, checking, changing and writing the settings of `config.py`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from vla_mbpo_ros.config import Config, Leaf
from vla_mbpo_ros.errors import ConfigError, UnknownName

Tree = TypeVar("Tree")
ROS_WRAPPER = ("/**", "ros__parameters")  # a file in the form of ROS parameters is understood as well


def load_config(path: Path | None = None) -> Config:
    """The settings in a YAML file; without one, the defaults."""
    if path is None:
        return Config()
    return build(Config, _read_yaml(path), str(path))


def build(tree: type[Tree], values: Mapping[str, Any], where: str, prefix: str = "") -> Tree:
    """A checked `tree` from nested `values`; what is not named keeps its default."""
    known = {item.name: item for item in fields(tree)}  # type: ignore[arg-type]
    hints = get_type_hints(tree)
    for key in values:
        if key not in known:
            raise UnknownName("configuration key", f"{prefix}{key}", [prefix + name for name in known], where)
    return tree(**{key: _value(hints[key], known[key], value, where, prefix + key) for key, value in values.items()})


def flatten(cfg: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value, leaves only; exactly the ROS parameters."""
    return {name: value for name, value, item in _leaves(cfg, prefix) if item.ros}


def describe(cfg: Any, prefix: str = "") -> dict[str, Leaf]:
    """Dotted name -> what is known of the setting."""
    return {name: item for name, _, item in _leaves(cfg, prefix) if item.ros}


def update(cfg: Tree, changes: Mapping[str, Any], where: str = "the changes") -> Tree:
    """`cfg` with dotted names changed, each checked as if it came from a file."""
    known = flatten(cfg)
    for name, value in changes.items():
        if name not in known:
            raise UnknownName("configuration key", name, known, where)
        cfg = _set(cfg, name.split("."), value, where, "")
    return cfg


def nested(cfg: Any) -> dict[str, Any]:
    """The tree as plain dicts and lists, ready for YAML."""
    result: dict[str, Any] = {}
    for item in fields(cfg):
        result[item.name] = _plain(getattr(cfg, item.name))
    return result


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", "Check the path given as `config`.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}.", "Mend the line that it names.") from error
    if isinstance(values, dict) and ROS_WRAPPER[0] in values:
        values = values[ROS_WRAPPER[0]].get(ROS_WRAPPER[1], {})
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}.", "Write `key: value` lines.")
    return values


def _value(hint: Any, item: Field[Any], value: Any, where: str, name: str) -> Any:
    if is_dataclass(hint):
        return build(hint, _mapping(value, where, name), where, f"{name}.")  # type: ignore[arg-type]
    if get_origin(hint) is dict:
        return _dict(get_args(hint)[1], value, where, name)
    facts: Leaf = item.metadata["leaf"]
    return _check(facts, _cast(hint, value, where, name), where, name)


def _dict(hint: Any, value: Any, where: str, name: str) -> dict[str, Any]:
    entries = _mapping(value, where, name)
    if is_dataclass(hint):
        return {
            key: build(hint, _mapping(entry, where, key), where, f"{name}.{key}.")  # type: ignore[arg-type]
            for key, entry in entries.items()
        }
    return {str(key): str(entry) for key, entry in entries.items()}


def _mapping(value: Any, where: str, name: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    cause = f"'{name}' in {where} must hold `key: value` lines, got {value!r}."
    raise ConfigError(cause, "Indent its settings below it.")


def _cast(hint: Any, value: Any, where: str, name: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    item = get_args(hint)[0] if get_origin(hint) is tuple else None
    if item is not None and isinstance(value, (list, tuple)) and all(type(entry) is item for entry in value):
        return tuple(value)
    if type(value) is hint:
        return value
    expected = {str: "list of strings", int: "list of whole numbers"}[item] if item is not None else hint.__name__
    raise ConfigError(f"'{name}' in {where} must be a {expected}, got {value!r}.", "Correct its type.")


def _check(facts: Leaf, value: Any, where: str, name: str) -> Any:
    unit = f" {facts.unit}" if facts.unit else ""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"'{name}' in {where} is {value}.", "Give a finite number.")
    if facts.low is not None and value < facts.low:
        raise ConfigError(f"'{name}' in {where} is {value}{unit}.", f"The least is {facts.low}{unit}.")
    if facts.high is not None and value > facts.high:
        raise ConfigError(f"'{name}' in {where} is {value}{unit}.", f"The most is {facts.high}{unit}.")
    if facts.choices and value not in facts.choices:
        raise UnknownName(f"value of '{name}'", str(value), facts.choices, where)
    return value


def _leaves(cfg: Any, prefix: str) -> Iterator[tuple[str, Any, Leaf]]:
    for item in fields(cfg):
        name, value = prefix + item.name, getattr(cfg, item.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{name}.")
        elif "leaf" in item.metadata:
            yield name, value, item.metadata["leaf"]
        else:  # a dict of sections, such as cameras
            for key, entry in value.items():
                yield from _leaves(entry, f"{name}.{key}.")


def _set(tree: Any, path: list[str], value: Any, where: str, prefix: str) -> Any:
    head, rest = path[0], path[1:]
    current = getattr(tree, head)
    if isinstance(current, dict):
        entry = _set(current[rest[0]], rest[1:], value, where, f"{prefix}{head}.{rest[0]}.")
        return replace(tree, **{head: {**current, rest[0]: entry}})
    if rest:
        return replace(tree, **{head: _set(current, rest, value, where, f"{prefix}{head}.")})
    item = next(found for found in fields(tree) if found.name == head)
    hint = get_type_hints(type(tree))[head]
    return replace(tree, **{head: _value(hint, item, value, where, prefix + head)})


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return nested(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value
