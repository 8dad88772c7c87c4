"""The node graph as data: what is started for which options, and what is refused."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from vla_mbpo_ros.bringup.graph import GraphSpec, graph_for
from vla_mbpo_ros.bringup.options import NO_POLICY, Options
from vla_mbpo_ros.bringup.parameters import parameter_tree, write_parameters
from vla_mbpo_ros.bringup.run_folder import make_run_folder
from vla_mbpo_ros.config_io import flatten, load_config
from vla_mbpo_ros.errors import ConfigError, UnknownName
from vla_mbpo_ros.robots import robot_names
from vla_mbpo_ros.robots.contract import robot_topics

SIM = Options("arx_x5", sim=True)
REAL = Options("arx_x5")
SYNTHETIC = Options("arx_x5", cameras="synthetic", robot="sink")
ALL = (SIM, REAL, SYNTHETIC, replace(SIM, supervise=False), replace(SIM, record=False), replace(SIM, policy=NO_POLICY))


def graph(options: Options, **environment: str) -> GraphSpec:
    return graph_for(options, environment)


def names(spec: GraphSpec) -> list[str]:
    return [node.name for node in spec.nodes]


def write(path: Path, **values: Any) -> str:
    path.write_text(yaml.safe_dump({"robot": "arx_x5", **values}))
    return str(path)


@pytest.mark.parametrize("options", ALL)
def test_names_are_unique_and_programs_exist(options: Options) -> None:
    spec = graph(options)
    assert len(set(names(spec))) == len(names(spec))
    for node in spec.nodes:
        file = importlib.util.find_spec("vla_mbpo_ros").submodule_search_locations[0]  # type: ignore[union-attr, index]
        assert (Path(file) / "nodes" / f"{node.executable}.py").is_file()


@pytest.mark.parametrize("name", robot_names())
def test_every_robot_has_a_valid_graph_in_simulation_and_without(name: str) -> None:
    for sim in (True, False):
        assert graph(Options(name, sim=sim)).robot.name == name


def test_a_simulation_starts_in_this_order() -> None:
    expected = ["sim_node", "robot_node", "recorder_node", "policy_node", "chunk_executor_node", "supervisor_node"]
    assert names(graph(SIM)) == expected


def test_the_supervisor_brings_up_all_others_in_order() -> None:
    spec = graph(SIM)
    supervisor = spec.node("supervisor_node")
    assert supervisor.parameters["nodes"] == tuple(names(spec)[:-1]) == spec.order
    assert supervisor.parameters["runtime.autostart"] is True
    assert spec.config.runtime.autostart is False


def test_without_supervision_every_node_starts_by_itself() -> None:
    spec = graph(replace(SIM, supervise=False))
    assert "supervisor_node" not in names(spec)
    assert spec.config.runtime.autostart is True


def test_a_simulation_has_no_camera_driver_and_no_driver_of_an_arm() -> None:
    spec = graph(SIM)
    assert "camera_node" not in {node.executable for node in spec.nodes}
    assert spec.config.gate.driver == "topics"
    assert spec.config.gate.command_type == "none"
    assert spec.node("robot_node").remaps == {"driver/joint_states": "sim/joint_states"}


def test_every_remap_leads_to_a_topic_of_the_graph_or_of_the_users_choice(tmp_path: Path) -> None:
    own = {"head/color/image_raw": "/zed/rgb", "driver/joint_states": "/arx/joints"}
    file = write(tmp_path / "own.yaml", topics=own)
    for options in (SIM, replace(REAL, config=file)):
        allowed = {"sim/joint_states", *own.values()}
        assert all(target in allowed for node in graph(options).nodes for target in node.remaps.values())


def test_simulated_time_is_for_all_but_the_one_who_makes_it() -> None:
    for node in graph(SIM).nodes:
        assert node.parameters["use_sim_time"] is (node.name != "sim_node")
    assert not any(node.parameters["use_sim_time"] for node in graph(REAL).nodes)


def test_time_cannot_run_backwards_so_the_simulator_is_not_respawned() -> None:
    spec = graph(SIM)
    assert [node.name for node in spec.nodes if not node.respawn] == ["sim_node"]


def test_synthetic_cameras_have_one_node_each() -> None:
    spec = graph(SYNTHETIC)
    cameras = {node.name: node.parameters["camera"] for node in spec.nodes if node.executable == "camera_node"}
    assert cameras == {f"{name}_camera": name for name in spec.robot.camera_names}
    assert spec.config.gate.driver == "sink"


def test_our_names_are_mapped_to_those_of_external_drivers(tmp_path: Path) -> None:
    file = write(tmp_path / "own.yaml", topics={"head/color/image_raw": "/zed/rgb"})
    spec = graph(replace(REAL, config=file))
    assert all(node.remaps == {"head/color/image_raw": "/zed/rgb"} for node in spec.nodes)
    assert graph(replace(SIM, config=file)).node("policy_node").remaps == {}


@pytest.mark.parametrize(
    ("topics", "cause"),
    [
        ({"head/colour/image_raw": "/a"}, "Did you mean 'head/color/image_raw'"),
        ({"head/color/image_raw": "no topic"}, "is no topic name"),
        ({"head/color/image_raw": "/a", "left_wrist/color/image_raw": "/a"}, "are all mapped to '/a'"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(tmp_path: Path, topics: dict[str, str], cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        graph(replace(REAL, config=write(tmp_path / "own.yaml", topics=topics)))


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (replace(SIM, cameras="external"), "cameras is 'external' with sim"),
        (replace(SIM, robot="external"), "reaches no robot"),
        (replace(SIM, robot="sink"), "robot is 'sink' with sim"),
        (replace(REAL, cameras="sim"), "cameras is 'sim' without a simulation"),
        (replace(REAL, robot="sim"), "robot is 'sim' without a simulation"),
        (replace(SIM, namespace="2 robots"), "is no namespace"),
        (replace(SIM, set=("policy.horizn=8",)), "Did you mean 'policy.horizon'"),
        (replace(SIM, set=("policy.horizon",)), "is no setting"),
        (replace(SIM, set=("policy.horizon=0",)), "The least is 1"),
        (replace(REAL, set=("gate.armed=true",)), "a real robot would move as soon as it is started"),
        (replace(SIM, config="/no/such.yaml"), "Cannot read /no/such.yaml"),
    ],
)
def test_nonsense_is_refused_with_its_cause(options: Options, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        graph(options)


def test_an_unknown_robot_gets_a_suggestion() -> None:
    with pytest.raises(UnknownName, match=r"Unknown robot 'arx_x6'\. Did you mean 'arx_x5'"):
        graph(Options("arx_x6"))


def test_a_file_for_another_robot_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("robot: other\n")
    with pytest.raises(ConfigError, match="is for the robot 'other', not 'arx_x5'"):
        graph(replace(SIM, config=str(file)))


@pytest.mark.parametrize("given", ["", "lab_7"])
def test_a_simulated_robot_never_has_the_name_of_a_real_one(given: str) -> None:
    options = replace(SIM, set=(f"robot_id={given or chr(39) * 2}",))
    name = given or "arx_x5"
    assert graph(options).config.robot_id == f"{name}-sim"
    assert graph(replace(options, sim=False)).config.robot_id == name


def test_only_a_simulation_acts_from_the_start() -> None:
    for options, acts in ((SIM, True), (replace(SIM, act=False), False), (REAL, False)):
        spec = graph(options)
        assert (spec.acts, spec.config.gate.armed, spec.config.executor.enabled) == (acts, acts, acts)


def test_the_options_win_over_the_file_and_settings_over_both(tmp_path: Path) -> None:
    file = write(tmp_path / "own.yaml", instruction="from the file", policy={"horizon": 4})
    spec = graph(replace(SIM, config=file, instruction="from the options", set=("policy.horizon=5",)))
    assert (spec.config.instruction, spec.config.policy.horizon) == ("from the options", 5)


def test_a_namespace_holds_the_whole_graph() -> None:
    spec = graph(replace(SIM, namespace="/lab/"))
    assert {node.full_name for node in spec.nodes} == {f"/lab/{name}" for name in names(spec)}
    for node in spec.nodes:
        assert "__ns:=/lab" in node.ros_arguments(Path("p.yaml"))


def test_a_command_says_everything_that_the_node_needs() -> None:
    node = graph(replace(SIM, log_level="warn")).node("robot_node")
    words = " ".join(node.command("python", Path("p.yaml")))
    assert words == (
        "python -m vla_mbpo_ros.nodes.robot_node --ros-args --params-file p.yaml -r __node:=robot_node "
        "-r driver/joint_states:=sim/joint_states -p use_sim_time:=true --log-level warn"
    )


def test_a_list_is_written_as_yaml() -> None:
    words = graph(SIM).node("supervisor_node").ros_arguments(Path("p.yaml"))
    assert "nodes:=[sim_node, robot_node, recorder_node, policy_node, chunk_executor_node]" in words


def contract(spec: GraphSpec) -> set[str]:
    rates = {name: camera.hz for name, camera in spec.config.cameras.items()}
    return {topic.name for topic in robot_topics(spec.robot, spec.config.control_hz, rates)}


def test_a_simulation_keeps_the_whole_contract() -> None:
    spec = graph(SIM)
    assert {topic.name for topic in spec.topics} == contract(spec)


def test_external_drivers_do_not_promise_what_only_ours_can_give() -> None:
    missing = contract(graph(REAL)) - {topic.name for topic in graph(REAL).topics}
    assert missing == {"/clock", "sim/state", *(f"{name}/color/frame_info" for name in graph(REAL).robot.camera_names)}


def test_without_a_policy_nothing_of_it_is_promised() -> None:
    spec = graph(replace(SIM, policy=NO_POLICY))
    assert "policy_node" not in names(spec)
    assert "policy/action_chunk" not in {topic.name for topic in spec.topics}


def test_an_external_driver_that_is_not_commanded_is_pointed_out() -> None:
    assert any("command_type is none" in note for note in graph(REAL).notes)
    assert not graph(replace(REAL, set=("gate.command_type=joint_trajectory",))).notes


def test_the_parameter_file_is_the_whole_tree_and_can_be_read_again(tmp_path: Path) -> None:
    cfg = graph(SIM).config
    assert load_config(write_parameters(cfg, tmp_path / "resolved.yaml")) == cfg


def test_the_parameter_file_has_no_empty_list_and_nothing_that_is_no_parameter() -> None:
    cfg = graph(SIM).config
    cfg = replace(cfg, gate=replace(cfg.gate, sources=()), topics={"estop": "/stop"})
    tree = parameter_tree(cfg)["/**"]["ros__parameters"]
    assert "sources" not in tree["gate"]
    assert "topics" not in tree
    assert set(tree) == {name.split(".")[0] for name in flatten(cfg)}


def test_each_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = (make_run_folder(graph(SIM), tmp_path) for _ in range(2))
    assert first.path != second.path
    assert {path.name for path in first.path.iterdir()} == {"resolved.yaml", "graph.json", "logs"}


def test_control_runs_at_real_time_priority_on_hardware_and_never_in_simulation() -> None:
    hardware = graph_for(Options("arx_x5", cameras="synthetic", robot="sink"))
    wanted = {node.name for node in hardware.nodes if "runtime.realtime_priority" in node.parameters}
    assert wanted == {"robot_node", "chunk_executor_node"}
    assert hardware.node("robot_node").parameters["runtime.realtime_priority"] == 20  # a number also for ROS launch
    simulated = graph_for(Options("arx_x5", sim=True))
    assert not any("runtime.realtime_priority" in node.parameters for node in simulated.nodes)


JPEG = tuple(f"cameras.{name}.jpeg_quality=90" for name in ("head", "left_wrist", "right_wrist"))


def images(spec: GraphSpec) -> set[str]:
    return {topic.name for topic in spec.topics if topic.name.startswith("head/color/image_raw")}


def test_compressed_colour_that_nobody_would_publish_is_refused_with_the_cure() -> None:
    for color in ("compressed", "both"):
        with pytest.raises(ConfigError, match=r"drivers of left_wrist compress nothing.*left_wrist\.jpeg_quality"):
            graph(replace(SIM, set=(f"recorder.color={color}", JPEG[0], JPEG[2])))
    assert graph(replace(SIM, record=False, set=("recorder.color=both",)))
    assert graph(replace(REAL, set=("recorder.color=compressed",)))  # an external driver knows for itself


@pytest.mark.parametrize(
    ("color", "policy", "expected"),
    [
        ("raw", "auto", {"image_raw"}),
        ("both", "auto", {"image_raw", "image_raw/compressed"}),
        ("compressed", "auto", {"image_raw", "image_raw/compressed"}),  # the policy sees raw images
        ("compressed", NO_POLICY, {"image_raw/compressed"}),
    ],
)
def test_a_graph_promises_the_images_that_it_needs(color: str, policy: str, expected: set[str]) -> None:
    spec = graph(replace(SIM, policy=policy, set=(f"recorder.color={color}", *JPEG)))
    assert images(spec) == {f"head/color/{name}" for name in expected}
    assert not set(spec.node("recorder_node").parameters.get("without", ())) & images(spec)


def test_a_compressed_topic_can_have_another_name(tmp_path: Path) -> None:
    topics = {"head/color/image_raw/compressed": "/cam/compressed"}
    spec = graph(replace(REAL, config=write(tmp_path / "own.yaml", topics=topics)))
    assert spec.node("recorder_node").remaps == topics


def test_the_operator_comes_after_the_recorder_when_it_is_wanted() -> None:
    assert "operator_node" not in names(graph(SIM))
    spec = graph(replace(SIM, set=("operator.enabled=true",)))
    assert names(spec).index("operator_node") == names(spec).index("recorder_node") + 1
    assert "operator_node" in spec.order
    with pytest.raises(ConfigError, match="without a recorder"):
        graph(replace(SIM, record=False, set=("operator.enabled=true",)))


def test_the_world_model_comes_with_its_option_or_its_setting_and_nothing_needs_it() -> None:
    assert "world_model_node" not in names(graph(SIM))
    for options in (replace(SIM, world_model="copy_last"), replace(SIM, set=("world_model.kind=copy_last",))):
        spec = graph(options)
        assert spec.config.world_model.kind == "copy_last"
        assert spec.order[-2:] == ("world_model_node", "imagination_view_node")
        assert not spec.node("world_model_node").required
    assert "world_model_node" not in names(graph(replace(options, world_model="none")))


def test_a_view_of_what_is_imagined_starts_by_itself_and_no_episode_depends_on_it() -> None:
    assert "imagination_view_node" not in names(graph(SIM))
    spec = graph(replace(SIM, world_model="copy_last"))
    view = spec.node("imagination_view_node")
    assert (view.required, view.respawn, view.parameters["runtime.autostart"]) == (False, True, True)
    assert view.name not in spec.node("supervisor_node").parameters["nodes"]  # type: ignore[operator]
    without = replace(SIM, world_model="copy_last", set=("imagination_view.enabled=false",))
    assert "imagination_view_node" not in names(graph(without))


def test_who_imagines_sees_raw_images_too() -> None:
    options = replace(SIM, policy=NO_POLICY, world_model="copy_last", set=("recorder.color=compressed", *JPEG))
    assert images(graph(options)) == {"head/color/image_raw", "head/color/image_raw/compressed"}
