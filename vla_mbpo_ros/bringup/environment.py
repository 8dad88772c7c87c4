"""The environment of the graph's processes: transport, discovery, threads. MUJOCO_GL is left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vla_mbpo_ros.config import AUTO_TRANSPORT, SHARED_MEMORY, SOCKETS, Config
from vla_mbpo_ros.share import share_dir

PROFILE_NAMES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # Fast DDS 2, Fast DDS 3
_DISCOVERY_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
SOCKET_BYTES = 212_992  # least that a socket's receive buffer holds, unless somebody has made it smaller: rmem_max
_THIS_MACHINE = {_DISCOVERY_RANGE: "LOCALHOST"}
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


def transport_profile(transport: str, local: bool = False) -> Path:
    """The shipped Fast DDS profile; `local`: the one with which nothing leaves this machine."""
    return share_dir() / "config" / "fastdds" / f"{transport}{'_local' if local else ''}.xml"


def transport_for(cfg: Config) -> str:
    """What a graph's images need: sockets outlive killed nodes, shared memory carries what their buffers do not."""
    if cfg.runtime.transport != AUTO_TRANSPORT:
        return cfg.runtime.transport
    at_once = sum(camera.width * camera.height * 3 for camera in cfg.cameras.values())
    return SOCKETS if at_once <= SOCKET_BYTES else SHARED_MEMORY


def environment_for(sim: bool, base: Mapping[str, str], transport: str = SHARED_MEMORY) -> Environment:
    """What a start adds to the environment `base`; the user's own choices stay, except in a simulation."""
    added = {name: value for name, value in _PLAIN.items() if name not in base}
    local = sim or _is_local(base)
    profile, notes = _profile(transport_profile(transport, local), base)
    added.update(profile)
    if local and profile:
        # Told LOCALHOST, rmw_fastrtps adds transports of its own to those of our profile: a small shared memory beside
        # ours, with the same ports.
        added[_DISCOVERY_RANGE] = "SYSTEM_DEFAULT"
    elif sim:
        added.update(_THIS_MACHINE)
    removed: tuple[str, ...] = ()
    if sim:
        removed = tuple(name for name in _REACHES_OUT if name in base)
        if removed:
            notes = (*notes, f"{', '.join(removed)} not used: a simulation stays on this machine.")
    return Environment(added, removed, notes)


def kept_here(base: Mapping[str, str]) -> dict[str, str]:
    """An environment to start a graph from of which nothing shall leave this machine."""
    return {**base, **_THIS_MACHINE}


def _is_local(base: Mapping[str, str]) -> bool:
    """Told so, or started by such a start."""
    told = base.get(_DISCOVERY_RANGE) == _THIS_MACHINE[_DISCOVERY_RANGE]
    return told or any(base.get(name) in _ours(local=True) for name in PROFILE_NAMES)


def own_profiles(base: Mapping[str, str]) -> list[str]:
    """The variables that name a profile which is not ours."""
    ours = {"", *_ours(local=True), *_ours(local=False)}
    return [name for name in PROFILE_NAMES if base.get(name, "") not in ours]


def _ours(local: bool) -> set[str]:
    return {str(transport_profile(transport, local)) for transport in (SOCKETS, SHARED_MEMORY)}


def _profile(profile: Path, base: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    own = own_profiles(base)
    if own:
        return {}, (f"Your own Fast DDS profile is used ({own[0]}={base[own[0]]}), not {profile}.",)
    rmw = base.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if "fastrtps" not in rmw:
        return {}, (f"RMW_IMPLEMENTATION is {rmw}: the Fast DDS profile has no effect; check large images yourself.",)
    return dict.fromkeys(PROFILE_NAMES, str(profile)), ()
