"""By what messages travel on this machine: our Fast DDS profiles, and which one a graph needs.

    config/fastdds/sockets.xml          outlives killed nodes; for images that fit into a socket's buffer
    config/fastdds/shared_memory.xml    for images of any size
    …_local.xml                         the same, and nothing leaves this machine

Fast DDS reads its profile once in a process: every graph that one process looks at is looked at by the first one's.
All of them listen at sockets, so they hear each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vla_mbpo_ros.config import AUTO_TRANSPORT, SHARED_MEMORY, SOCKETS, Config
from vla_mbpo_ros.share import share_dir

PROFILE_NAMES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # Fast DDS 2, Fast DDS 3
WANTED_BYTES = 4_194_304  # of a socket's buffers, in our profiles
_USUAL_BYTES = 212_992  # what Linux gives where nobody has raised it
_LIMITS = tuple(Path("/proc/sys/net/core") / name for name in ("rmem_max", "wmem_max"))


def transport_for(cfg: Config) -> str:
    """What a graph's images need, on this machine."""
    if cfg.runtime.transport != AUTO_TRANSPORT:
        return cfg.runtime.transport
    at_once = sum(camera.width * camera.height * 3 for camera in cfg.cameras.values())
    return SOCKETS if at_once <= socket_bytes() else SHARED_MEMORY


def socket_bytes() -> int:
    """What a socket of ours can hold here."""
    try:
        return min(WANTED_BYTES, *(int(limit.read_text(encoding="ascii")) for limit in _LIMITS))
    except (OSError, ValueError):
        return _USUAL_BYTES


def transport_profile(transport: str, local: bool = False) -> Path:
    return share_dir() / "config" / "fastdds" / f"{transport}{'_local' if local else ''}.xml"


def profile_variables(transport: str, local: bool, base: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What makes the middleware read our profile; nothing, and a note, where it has to be another one."""
    profile, own = transport_profile(transport, local), own_profiles(base)
    if own:
        return {}, (f"Your own Fast DDS profile is used ({own[0]}={base[own[0]]}), not {profile}.",)
    rmw = base.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if "fastrtps" not in rmw:
        return {}, (f"RMW_IMPLEMENTATION is {rmw}: the Fast DDS profile has no effect; check large images yourself.",)
    if not profile.is_file():
        return {}, (f"{profile} is missing: install vla_mbpo_ros again. Large images may be lost.",)
    return dict.fromkeys(PROFILE_NAMES, str(profile)), ()


def own_profiles(base: Mapping[str, str]) -> list[str]:
    """The variables that name a profile which is not ours."""
    ours = {"", *_ours(local=True), *_ours(local=False)}
    return [name for name in PROFILE_NAMES if base.get(name, "") not in ours]


def has_local_profile(base: Mapping[str, str]) -> bool:
    return any(base.get(name) in _ours(local=True) for name in PROFILE_NAMES)


def _ours(local: bool) -> set[str]:
    return {str(transport_profile(transport, local)) for transport in (SOCKETS, SHARED_MEMORY)}
