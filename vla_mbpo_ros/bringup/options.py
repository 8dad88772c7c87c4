"""What may be said when a graph is started. Launch arguments and command-line options are both made from this."""

from __future__ import annotations

import argparse
import difflib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vla_mbpo_ros.config import PolicyConfig, WorldModelConfig
from vla_mbpo_ros.errors import ConfigError, UnknownName

AUTO = "auto"
NO_POLICY = NO_WORLD_MODEL = "none"
_POLICIES = PolicyConfig.__dataclass_fields__["kind"].metadata["leaf"].choices
_WORLD_MODELS = WorldModelConfig.__dataclass_fields__["kind"].metadata["leaf"].choices
_TRUTH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True)
class Argument:
    """What is known of one option; `default` has the option's type."""

    name: str
    doc: str
    default: Any
    choices: tuple[str, ...] = ()

    @property
    def text_default(self) -> str:
        """The default as ROS launch writes it."""
        return _to_text(self.default)

    @property
    def text_choices(self) -> tuple[str, ...]:
        """What ROS launch accepts; people write both forms of a truth."""
        return ("true", "false", "True", "False") if isinstance(self.default, bool) else self.choices


def _argument(default: Any, doc: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"doc": doc, "choices": choices})


@dataclass(frozen=True)
class Options:
    """One start of one robot's graph. `robot` says what stands behind the gate, as `cameras` does for images."""

    robot_name: str
    sim: bool = _argument(False, "Run the robot's twin instead of the robot; nothing leaves this machine.")
    cameras: str = _argument(
        AUTO,
        "Who makes the images: the simulator, our synthetic cameras, or drivers that are started elsewhere; "
        "auto is sim with sim, else external.",
        (AUTO, "sim", "synthetic", "external"),
    )
    robot: str = _argument(
        AUTO,
        "What stands behind the gate: the simulator, a driver that is started elsewhere, or a sink that follows "
        "every command; auto is sim with sim, else external.",
        (AUTO, "sim", "external", "sink"),
    )
    policy: str = _argument(
        AUTO,
        "Which policy acts; auto takes the configuration's, none starts neither policy nor executor.",
        (AUTO, *_POLICIES),
    )
    world_model: str = _argument(
        AUTO,
        "Which world model imagines for who asks; auto takes the configuration's, none starts no world_model_node.",
        (AUTO, *_WORLD_MODELS),
    )
    instruction: str = _argument("", "What the policy is asked to do; empty takes the configuration's.")
    act: bool = _argument(
        True,
        "In simulation: arm and enable from the start. A real robot always waits for a person to arm it.",
    )
    record: bool = _argument(True, "Start the recorder; it writes a bag when it is told to.")
    namespace: str = _argument("", "ROS namespace of the whole graph; empty for none.")
    config: str = _argument("", "YAML file with settings; empty takes the robot's own in config/.")
    set: tuple[str, ...] = _argument((), "Single settings over the file, as name=value; see `vla-mbpo config`.")
    log_level: str = _argument(
        "info", "Least severe log that nodes write.", ("debug", "info", "warn", "error", "fatal")
    )
    respawn: bool = _argument(True, "Start a node again that died.")
    supervise: bool = _argument(True, "Let supervisor_node bring the nodes up in order; else each starts by itself.")

    @property
    def cameras_from(self) -> str:
        return _default_source(self.sim) if self.cameras == AUTO else self.cameras

    @property
    def robot_from(self) -> str:
        return _default_source(self.sim) if self.robot == AUTO else self.robot


ARGUMENTS: tuple[Argument, ...] = tuple(
    Argument(item.name, item.metadata["doc"], item.default, item.metadata["choices"])
    for item in fields(Options)
    if "doc" in item.metadata
)


def options_from_text(robot_name: str, texts: Mapping[str, str]) -> Options:
    """Options from `name:=text` pairs, as ROS launch gives them."""
    known = {argument.name: argument for argument in ARGUMENTS}
    for name in texts:
        if name not in known:
            raise UnknownName("launch argument", name, known)
    return Options(robot_name, **{name: _from_text(known[name], text) for name, text in texts.items()})


def add_options(parser: argparse.ArgumentParser) -> None:
    """The same options for a command."""
    group = parser.add_argument_group("graph")
    for item in ARGUMENTS:
        flag = "--" + item.name.replace("_", "-")
        if isinstance(item.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=item.default, help=item.doc)
        elif isinstance(item.default, tuple):
            group.add_argument(flag, action="append", default=[], metavar="NAME=VALUE", help=item.doc)
        else:
            group.add_argument(flag, default=item.default, choices=item.choices or None, help=item.doc)


def options_from_args(robot_name: str, args: argparse.Namespace) -> Options:
    values: dict[str, Any] = {item.name: getattr(args, item.name) for item in ARGUMENTS}
    values["set"] = tuple(values["set"])
    return Options(robot_name, **values)


def _default_source(sim: bool) -> str:
    return "sim" if sim else "external"


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return shlex.join(value) if isinstance(value, tuple) else str(value)


def _from_text(item: Argument, text: str) -> Any:
    if isinstance(item.default, bool):
        return _truth(item.name, text)
    if isinstance(item.default, tuple):
        return tuple(shlex.split(text))
    if item.choices and text not in item.choices:
        raise UnknownName(f"value of '{item.name}'", text, item.choices)
    return text


def _truth(name: str, text: str) -> bool:
    value = _TRUTH.get(text.strip().lower())
    if value is None:
        near = difflib.get_close_matches(text.lower(), _TRUTH, n=1)
        raise ConfigError(f"'{name}' is '{text}'.", f"Write {near[0] if near else 'true or false'}.")
    return value
