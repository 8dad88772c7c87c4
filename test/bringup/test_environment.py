"""The environment of the graph's processes."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest

from vla_mbpo_ros.bringup import transport
from vla_mbpo_ros.bringup.environment import environment_for, kept_here
from vla_mbpo_ros.bringup.graph import graph_for
from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.bringup.transport import PROFILE_NAMES, WANTED_BYTES, socket_bytes, transport_profile
from vla_mbpo_ros.config import SHARED_MEMORY, SOCKETS

RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
USUAL = 212_992  # bytes of a socket's buffer
TRANSPORTS = (SOCKETS, SHARED_MEMORY)
SMALL = tuple(
    f"cameras.{name}.{side}=128" for name in ("head", "left_wrist", "right_wrist") for side in ("width", "height")
)
NAMES = {"dds": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_the_profile_is_used_by_old_and_new_fast_dds(kind: str) -> None:
    added = environment_for(False, {}, kind).added
    assert {added[name] for name in PROFILE_NAMES} == {str(transport_profile(kind))}


@pytest.mark.parametrize(
    ("buffer", "settings", "kind"),
    [
        (USUAL, (), SHARED_MEMORY),
        (USUAL, ("cameras.head.width=64", "cameras.head.height=64"), SHARED_MEMORY),  # the wrists' are large
        (USUAL, SMALL, SOCKETS),
        (USUAL, ("runtime.transport=sockets",), SOCKETS),
        (4 * 2**20, (), SOCKETS),  # three of 640x480
        (4 * 2**20, ("cameras.head.width=1920", "cameras.head.height=1080"), SHARED_MEMORY),
        (4 * 2**20, ("runtime.transport=shared_memory",), SHARED_MEMORY),
    ],
)
def test_images_that_fit_into_a_buffer_go_through_sockets(
    buffer: int, settings: tuple[str, ...], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [tmp_path / "rmem_max", tmp_path / "wmem_max"]
    for limit, size in zip(limits, (buffer, 2**30), strict=True):
        limit.write_text(f"{size}\n", encoding="ascii")
    monkeypatch.setattr(transport, "_LIMITS", limits)
    graph = graph_for(Options("arx_x5", sim=True, set=settings), {})
    assert graph.environment.added[PROFILE_NAMES[0]] == str(transport_profile(kind, local=True))


def test_a_system_that_does_not_tell_is_taken_for_a_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LIMITS", [tmp_path / "nothing"])
    assert socket_bytes() == USUAL


def test_a_profile_of_the_users_own_is_respected_and_said() -> None:
    environment = environment_for(False, {PROFILE_NAMES[0]: "/mine.xml"}, SHARED_MEMORY)
    assert not set(PROFILE_NAMES) & set(environment.added)
    assert "/mine.xml" in environment.notes[0]


def test_another_middleware_is_pointed_out() -> None:
    environment = environment_for(False, {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, SHARED_MEMORY)
    assert "rmw_cyclonedds_cpp" in environment.notes[0]


def test_a_simulation_cannot_be_found_from_another_machine_whatever_was_set() -> None:
    base = {RANGE: "SUBNET", "ROS_STATIC_PEERS": "10.0.0.7", "ROS_DISCOVERY_SERVER": "10.0.0.7:11811"}
    environment = environment_for(True, base, SHARED_MEMORY)
    whole = environment.over(base)
    assert {whole[name] for name in PROFILE_NAMES} == {str(transport_profile(SHARED_MEMORY, local=True))}
    assert whole[RANGE] == "SYSTEM_DEFAULT"  # the profile says where it may go
    assert "ROS_STATIC_PEERS" not in whole
    assert "ROS_DISCOVERY_SERVER" not in whole
    assert "ROS_STATIC_PEERS, ROS_DISCOVERY_SERVER" in environment.notes[0]


@pytest.mark.parametrize("own", [{PROFILE_NAMES[0]: "/mine.xml"}, {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}])
@pytest.mark.parametrize("sim", [False, True])
def test_what_shall_stay_here_does_so_without_our_profile_too(own: dict[str, str], sim: bool) -> None:
    base = own if sim else kept_here(own)
    assert environment_for(sim, base, SHARED_MEMORY).over({**own, RANGE: "SUBNET"})[RANGE] == "LOCALHOST"


def test_a_simulation_without_its_profile_stays_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "share_dir", lambda: tmp_path)
    environment = environment_for(True, {}, SOCKETS)
    assert environment.added[RANGE] == "LOCALHOST"
    assert "sockets_local.xml is missing" in environment.notes[0]


def test_a_robot_keeps_the_range_that_its_people_chose() -> None:
    base = {RANGE: "SUBNET"}
    assert environment_for(False, base, SHARED_MEMORY).over(base)[RANGE] == "SUBNET"


@pytest.mark.parametrize("told", [kept_here({}), {"ROS_LOCALHOST_ONLY": "1"}])
def test_a_robot_that_is_told_to_stay_here_does(told: dict[str, str]) -> None:
    whole = environment_for(False, told, SHARED_MEMORY).over(told)
    assert {whole[name] for name in PROFILE_NAMES} == {str(transport_profile(SHARED_MEMORY, local=True))}
    assert whole[RANGE] == "SYSTEM_DEFAULT"
    assert "ROS_LOCALHOST_ONLY" not in whole  # rclpy would still obey it, and rmw_fastrtps add its transports


def test_a_robot_reaches_the_peers_that_its_people_name() -> None:
    base = kept_here({"ROS_STATIC_PEERS": "10.0.0.7"})
    whole = environment_for(False, base, SHARED_MEMORY).over(base)
    assert (whole[RANGE], whole["ROS_STATIC_PEERS"]) == ("LOCALHOST", "10.0.0.7")
    assert whole[PROFILE_NAMES[0]] == str(transport_profile(SHARED_MEMORY))


@pytest.mark.parametrize("sim", [False, True])
@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_start_within_a_start_changes_nothing(sim: bool, kind: str) -> None:
    base = kept_here({"HOME": "/home/somebody"})
    once = environment_for(sim, base, kind).over(base)
    again = environment_for(False, once, kind)
    assert again.over(once) == once
    assert again.notes == ()


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_the_local_profile_leads_nowhere_else(kind: str) -> None:
    root = Xml.parse(transport_profile(kind, local=True)).getroot()
    udp = root.find(".//dds:transport_descriptor[dds:type='UDPv4']", NAMES)
    assert udp is not None
    places = [*udp.iterfind("dds:interfaceWhiteList/dds:address", NAMES), *root.iterfind(".//dds:udpv4/*", NAMES)]
    assert [place.text for place in places] == ["127.0.0.1"] * 3


def test_threads_and_the_choice_of_opengl_are_the_users() -> None:
    added = environment_for(True, {"OMP_NUM_THREADS": "4", "MUJOCO_GL": "egl"}, SHARED_MEMORY).added
    assert "OMP_NUM_THREADS" not in added
    assert "MUJOCO_GL" not in added
    assert added["MKL_NUM_THREADS"] == "1"


@pytest.mark.parametrize("local", [False, True])
def test_the_shipped_profiles_carry_an_image_in_one_piece(local: bool) -> None:
    root = Xml.parse(transport_profile(SHARED_MEMORY, local)).getroot()
    shm = root.find(".//dds:transport_descriptor[dds:type='SHM']", NAMES)
    assert shm is not None
    assert int(shm.findtext("dds:maxMessageSize", "0", NAMES)) >= 1920 * 1080 * 3
    assert int(shm.findtext("dds:segment_size", "0", NAMES)) >= 3 * 10 * 640 * 480 * 3
    assert root.findtext(".//dds:useBuiltinTransports", "", NAMES) == "false"


@pytest.mark.parametrize("local", [False, True])
def test_the_profile_of_sockets_has_no_shared_memory(local: bool) -> None:
    root = Xml.parse(transport_profile(SOCKETS, local)).getroot()
    assert [kind.text for kind in root.iterfind(".//dds:transport_descriptor/dds:type", NAMES)] == ["UDPv4"]
    for buffer in ("sendBufferSize", "receiveBufferSize"):
        assert root.findtext(f".//dds:{buffer}", "", NAMES) == str(WANTED_BYTES)
    assert root.findtext(".//dds:useBuiltinTransports", "", NAMES) == "false"


def test_all_profiles_discover_alike() -> None:
    roots = [Xml.parse(transport_profile(kind, local)).getroot() for kind in TRANSPORTS for local in (False, True)]
    counts = [root.findtext(".//dds:initialAnnouncements/dds:count", "", NAMES) for root in roots]
    peers = {element.text for root in roots for element in root.iterfind(".//dds:maxInitialPeersRange", NAMES)}
    assert (counts, peers) == (["30"] * 4, {"100"})
