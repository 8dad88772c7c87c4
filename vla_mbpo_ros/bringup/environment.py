"""The environment of the graph's processes: transport, discovery, threads. MUJOCO_GL is left as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vla_mbpo_ros.bringup.transport import has_local_profile, profile_variables

_RANGE, _LOCALHOST_ONLY = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY"  # the latter until Iron
# What would let discovery cross the machine's border.
_REACHES_OUT = ("ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER", "ROS_SUPER_CLIENT")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PLAIN = {
    "PYTHONUNBUFFERED": "1",  # a node's last words are on disk before it dies
    "RCUTILS_COLORIZED_OUTPUT": "0",  # log files are read by people and by tools
    **dict.fromkeys(_THREADS, "1"),  # arrays are small; threads of ten processes would only take turns
}


@dataclass(frozen=True)
class Environment:
    """`added` goes over the parent's environment, `removed` is taken out of it; `notes` are for people."""

    added: Mapping[str, str]
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def over(self, base: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of a child whose parent has `base`."""
        kept = {name: value for name, value in base.items() if name not in self.removed}
        return {**kept, **self.added}

    def adopt(self) -> None:
        """Make it this process's own: who talks to a graph must talk as it does, and rclpy reads it from here."""
        whole = self.over(os.environ)
        os.environ.clear()
        os.environ.update(whole)


def environment_for(sim: bool, base: Mapping[str, str], transport: str) -> Environment:
    """What a start adds to the environment `base`; the user's own choices stay, except in a simulation."""
    added = {name: value for name, value in _PLAIN.items() if name not in base}
    outwards = tuple(name for name in _REACHES_OUT if name in base)
    local = sim or (_stays_here(base) and not outwards)
    profile, notes = profile_variables(transport, local, base)
    added.update(profile)
    removed = outwards if sim else ()
    if local and profile:
        # Told to stay on this machine, rmw_fastrtps adds transports of its own to those of our profile: a small shared
        # memory beside ours, with the same ports. Our profile does it alone.
        added[_RANGE] = "SYSTEM_DEFAULT"
        removed += (_LOCALHOST_ONLY,)
    elif local:
        added[_RANGE] = "LOCALHOST"
    if sim and outwards:
        notes = (*notes, f"{', '.join(outwards)} not used: a simulation stays on this machine.")
    return Environment(added, removed, notes)


def kept_here(base: Mapping[str, str]) -> dict[str, str]:
    """An environment to start a graph from of which nothing shall leave this machine."""
    return {**base, _RANGE: "LOCALHOST"}


def _stays_here(base: Mapping[str, str]) -> bool:
    """Told so, or started by such a start."""
    return base.get(_RANGE) == "LOCALHOST" or base.get(_LOCALHOST_ONLY) == "1" or has_local_profile(base)
