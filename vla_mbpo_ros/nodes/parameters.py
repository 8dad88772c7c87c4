"""ROS parameters declared from the typed settings, and changed under the same rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_mbpo_ros.config import Config, Leaf, RuntimeConfig
from vla_mbpo_ros.config_io import describe, flatten, update
from vla_mbpo_ros.errors import UnknownName, VlaMbpoError
from vla_mbpo_ros.robots.settings import resolve

# Parameters that ROS itself gives to every node.
_FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
# What a node is: whether its clock is simulated decides what may reach a robot; the others are read once.
_FOR_LIFE = ("use_sim_time", "robot", "robot_id", *(f"runtime.{item.name}" for item in fields(RuntimeConfig)))


class NodeSettings:
    """The settings of one node: `sections` of the tree as ROS parameters, plus a few `extras` of its own."""

    def __init__(self, node: Node, sections: Sequence[str], extras: dict[str, tuple[Any, str]]) -> None:
        self._node = node
        # What the user gave on the command line or in a file; rclpy has no public way to see undeclared ones.
        given = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
        robot = str(given.get("robot", Config().robot))
        self.cfg = resolve(replace(Config(), robot=robot))
        self._names = [name for name in flatten(self.cfg) if _within(name, sections)]
        self._refuse_unknown(given, extras)
        values = {name: value for name, value in given.items() if name in flatten(self.cfg)}
        self.cfg = resolve(update(self.cfg, values, f"the parameters of {node.get_name()}"))
        self._declare()
        self.extras = {name: self._declare_extra(name, *entry) for name, entry in extras.items()}

    def watch(self, is_open: Callable[[], bool], changed: Callable[[Config], None]) -> None:
        """From now on check changes; `is_open()` says whether every parameter may change, not only dynamic ones."""

        def check(parameters: list[Parameter]) -> SetParametersResult:
            return self._change(parameters, is_open(), changed)

        self._node.add_on_set_parameters_callback(check)

    def _change(
        self, parameters: Sequence[Parameter], is_open: bool, changed: Callable[[Config], None]
    ) -> SetParametersResult:
        ours = {parameter.name: parameter.value for parameter in parameters if parameter.name in self._names}
        facts, before = describe(self.cfg), self.cfg
        for parameter in parameters:
            if parameter.name in _FOR_LIFE:
                return SetParametersResult(successful=False, reason=_for_life(parameter.name))
        for name in ours:
            if not (is_open or facts[name].dynamic):
                return SetParametersResult(successful=False, reason=_fixed(name))
        try:
            self.cfg = update(self.cfg, ours, "the new parameters")
            changed(self.cfg)
        except VlaMbpoError as error:
            self.cfg = before
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _refuse_unknown(self, given: Iterable[str], extras: Iterable[str]) -> None:
        known = [*flatten(self.cfg), *extras]
        for name in given:
            if name not in known and not name.startswith(_FOREIGN):
                raise UnknownName("parameter", name, known, f"the parameters of {self._node.get_name()}")

    def _declare(self) -> None:
        values, facts = flatten(self.cfg), describe(self.cfg)
        for name in self._names:
            value = list(values[name]) if isinstance(values[name], tuple) else values[name]
            self._node.declare_parameter(name, value, _descriptor(facts[name], value), ignore_override=True)

    def _declare_extra(self, name: str, default: Any, doc: str) -> Any:
        return self._node.declare_parameter(name, default, ParameterDescriptor(description=doc, read_only=True)).value


def _descriptor(facts: Leaf, value: Any) -> ParameterDescriptor:
    text = f"{facts.doc} [{facts.unit}]" if facts.unit else facts.doc
    constraints = f"One of: {', '.join(facts.choices)}." if facts.choices else ""
    descriptor = ParameterDescriptor(description=text, additional_constraints=constraints)
    if isinstance(value, float) and facts.low is not None and facts.high is not None:
        descriptor.floating_point_range = [FloatingPointRange(from_value=facts.low, to_value=facts.high)]
    if type(value) is int and facts.low is not None and facts.high is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(facts.low), to_value=int(facts.high), step=1)]
    return descriptor


def _within(name: str, sections: Iterable[str]) -> bool:
    return any(name == section or name.startswith(f"{section}.") for section in sections)


def _fixed(name: str) -> str:
    return f"'{name}' cannot change while the node is configured. Run its cleanup transition first, or restart it."


def _for_life(name: str) -> str:
    return f"'{name}' cannot change while the node lives. Start the node again with another value."
