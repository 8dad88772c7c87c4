"""One node of the graph, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "vla_mbpo_ros"
PRIORITY = "runtime.realtime_priority"
CONTROL_PRIORITY = 20  # of SCHED_FIFO: above all that is ordinary, below the kernel's own threads (50)
ParameterValue = bool | int | str | tuple[str, ...]


@dataclass(frozen=True)
class NodeSpec:
    """A process with one node in it. `executable` is its name under colcon; its module ends in the same name."""

    name: str
    executable: str
    namespace: str = ""
    log_level: str = "info"
    # Beyond the graph's parameter file.
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    remaps: Mapping[str, str] = field(default_factory=dict)
    lifecycle: bool = True
    respawn: bool = True
    required: bool = True  # the graph ends when it is gone for good

    @property
    def module(self) -> str:
        return f"{PACKAGE}.nodes.{self.executable}"

    @property
    def full_name(self) -> str:
        return f"{_prefix(self.namespace)}/{self.name}"

    def ros_arguments(self, parameter_file: Path) -> list[str]:
        """What follows `--ros-args`."""
        words = ["--params-file", str(parameter_file), "-r", f"__node:={self.name}"]
        if self.namespace:
            words += ["-r", f"__ns:={_prefix(self.namespace)}"]
        for ours, theirs in self.remaps.items():
            words += ["-r", f"{ours}:={theirs}"]
        for name, value in self.parameters.items():
            words += ["-p", f"{name}:={_yaml(value)}"]
        return [*words, "--log-level", self.log_level]

    def command(self, python: str, parameter_file: Path) -> list[str]:
        """The whole command line without an installed executable."""
        return [python, "-m", self.module, "--ros-args", *self.ros_arguments(parameter_file)]


def _prefix(namespace: str) -> str:
    bare = namespace.strip("/")
    return f"/{bare}" if bare else ""


def _yaml(value: ParameterValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)
