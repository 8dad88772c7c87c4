"""One typed, frozen tree of settings. Every leaf says what it is, in which unit, and what is allowed.

The same tree is a YAML file in `config/`, the dotted names of the ROS parameters (`flatten`), and the resolved
file that is kept beside a run or a checkpoint. Keys that nobody knows are refused with the nearest valid name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Leaf:
    """What is known of one setting."""

    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    dynamic: bool = False  # may change while the node runs
    ros: bool = True  # is a ROS parameter; False: for the launcher only


# what sim_node can set up: of the arx_x5, then of the tabletop
TASKS = (
    "pick_place",
    "press_red",
    "press_blue",
    "push_yellow",
    "push_purple",
    "lift_red",
    "lift_green",
    "place_plate",
    "place_bowl",
)
OUTCOMES = ("unknown", "success", "failure", "discarded")  # of an episode, in the order of EpisodeStatus.msg
COLORS = ("raw", "compressed", "both")  # which topics of a camera a bag has
AUTO_TRANSPORT, SOCKETS, SHARED_MEMORY = "auto", "sockets", "shared_memory"


def leaf(default: Any, doc: str, **facts: Any) -> Any:
    """A field of the tree with its `Leaf`."""
    metadata = {"leaf": Leaf(doc, **facts)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RuntimeConfig:
    """What every node does."""

    autostart: bool = leaf(True, "Configure and activate without a supervisor.")
    heartbeat_s: float = leaf(0.5, "Period of the heartbeat, on steady time.", unit="s", low=0.05, high=10.0)
    realtime_priority: int = leaf(
        0, "SCHED_FIFO priority of the process, where the system permits it; 0 leaves it alone.", low=0, high=99
    )
    diagnostics_s: float = leaf(1.0, "Period of /diagnostics, on steady time.", unit="s", low=0.1, high=60.0)
    transport: str = leaf(
        AUTO_TRANSPORT,
        "How messages travel here with Fast DDS, read when a graph starts; auto: by sockets if all images of "
        "a moment fit into their buffer, else by shared memory.",
        choices=(AUTO_TRANSPORT, SOCKETS, SHARED_MEMORY),
    )


@dataclass(frozen=True)
class CameraConfig:
    """One camera."""

    driver: str = leaf("synthetic", "Who makes the images.", choices=("synthetic",))
    width: int = leaf(640, "Image width.", unit="pixel", low=16, high=4096)
    height: int = leaf(480, "Image height.", unit="pixel", low=16, high=4096)
    hz: float = leaf(0.0, "Frame rate; 0 takes the control rate.", unit="Hz", low=0.0, high=240.0)
    max_age_s: float = leaf(
        0.2, "Older images are refused as an observation.", unit="s", low=0.001, high=60.0, dynamic=True
    )
    jpeg_quality: int = leaf(
        0, "Quality of the images on color/image_raw/compressed; 0: our drivers do not publish them.", low=0, high=100
    )


@dataclass(frozen=True)
class GateConfig:
    """robot_node, the only gate between a command and the arm."""

    driver: str = leaf(
        "topics",
        "What stands behind the gate: other ROS nodes (a simulator, an external driver) or a sink that follows.",
        choices=("topics", "sink"),
    )
    command_type: str = leaf(
        "none",
        "Form in which an external driver is commanded on `driver/command`; none in simulation, "
        "where the twin obeys `robot/executed_command`.",
        choices=("none", "joint_state", "joint_trajectory", "multi_array"),
    )
    sources: tuple[str, ...] = leaf(
        ("human", "policy"), "Who may hold the lease; an earlier name overrides a later one."
    )
    lease_s: float = leaf(
        0.5, "A source that is silent for this long loses the lease, in graph time.", unit="s", low=0.01, high=10.0
    )
    stall_s: float = leaf(
        2.0, "The arm is held after this long without a command, on steady time.", unit="s", low=0.01, high=60.0
    )
    max_state_age_s: float = leaf(
        0.3, "The arm is held when its own joint states are older.", unit="s", low=0.001, high=10.0, dynamic=True
    )
    max_command_age_s: float = leaf(0.3, "Older commands are refused.", unit="s", low=0.001, high=10.0, dynamic=True)
    velocity_scale: float = leaf(
        0.5, "Share of the joints' velocity limit that a step may use.", low=0.01, high=1.0, dynamic=True
    )
    require_deadman: bool = leaf(False, "Hold unless the deadman is pressed.")
    armed: bool = leaf(False, "Armed from the start. Refused for anything but a simulation.")


@dataclass(frozen=True)
class PolicyConfig:
    """policy_node."""

    kind: str = leaf(
        "scripted",
        "Which policy acts; none: neither policy nor executor is started.",
        choices=("scripted", "tiny", "pi0", "pi05", "none"),
    )
    checkpoint: str = leaf("", "Folder of a learnt policy; the scripted one has none.")
    device: str = leaf(
        "cpu", "Where a learnt policy computes; pi0 and pi0.5 in bfloat16 on cuda.", choices=("cpu", "cuda")
    )
    tokenizer: str = leaf("", "A sentencepiece file, for checkpoints of openpi and lerobot, which have none; or bytes.")
    start: bool = leaf(
        False, "Follow `instruction` from the start; otherwise rest until policy/set_instruction gives one."
    )
    horizon: int = leaf(16, "Steps in a chunk.", low=1, high=1000)
    replan_steps: int = leaf(8, "Control ticks between two chunks.", low=1, high=1000, dynamic=True)
    max_state_age_s: float = leaf(
        0.2, "Older joint states are refused as an observation.", unit="s", low=0.001, high=60.0, dynamic=True
    )
    seed: int = leaf(0, "Seed of everything random in the policy.", low=0)


@dataclass(frozen=True)
class ExecutorConfig:
    """chunk_executor_node."""

    blend_s: float = leaf(
        0.2, "Length of the crossfade from one chunk to the next.", unit="s", low=0.0, high=5.0, dynamic=True
    )
    max_chunk_age_s: float = leaf(
        1.0, "A chunk whose observation is older on arrival is refused.", unit="s", low=0.01, high=60.0, dynamic=True
    )
    policy_wait_s: float = leaf(
        1.0, "Lock-step: longest wait for the policy at one tick, on steady time.", unit="s", low=0.01, high=600.0
    )
    enabled: bool = leaf(False, "Command from the start; otherwise wait for `executor/enable`.")


@dataclass(frozen=True)
class RecorderConfig:
    """recorder_node."""

    folder: str = leaf("bags", "Where bags go; relative to the working directory.")
    writer: str = leaf(
        "mcap",
        "Who writes: our own MCAP writer, which survives a crash and a full disk, or the installed rosbag2_py.",
        choices=("mcap", "rosbag2_py"),
    )
    compression: str = leaf("none", "Compression of the bag's chunks.", choices=("none", "lz4", "zstd"))
    color: str = leaf(
        "raw", "Which of a camera's topics are recorded: image_raw, its compressed one, or both.", choices=COLORS
    )
    split_mb: float = leaf(0.0, "A bag goes on in a new file after this much; 0: never.", unit="MB", low=0.0)
    split_s: float = leaf(0.0, "A bag goes on in a new file after this long; 0: never.", unit="s", low=0.0)
    snapshot_s: float = leaf(
        0.0,
        "While nothing is recorded, the last so many seconds are kept in memory, for recorder/snapshot; 0: none.",
        unit="s",
        low=0.0,
        high=600.0,
    )
    snapshot_mb: float = leaf(1000.0, "The most memory for that; the oldest goes first.", unit="MB", low=1.0)
    snapshot_on_estop: bool = leaf(True, "An emergency stop keeps a snapshot, if there is one.")
    gate_timeout_s: float = leaf(
        10.0, "How long to wait for every source to be fresh before a bag starts.", unit="s", low=0.1, high=600.0
    )
    after_success_s: float = leaf(
        1.0,
        "A bag that is ended as a success goes on until this long after it, so that there are images of it.",
        unit="s",
        low=0.0,
        high=60.0,
        dynamic=True,
    )
    min_free_gb: float = leaf(1.0, "Recording stops cleanly below this much free disk.", unit="GB", low=0.0)


@dataclass(frozen=True)
class OperatorConfig:
    """operator_node. An action is one of none, start, success, failure, discard, snapshot and start_or_success,
    which starts while nothing is recorded and else stops with success."""

    enabled: bool = leaf(False, "Start operator_node, so that buttons steer the recorder.")
    joy_actions: tuple[str, ...] = leaf(
        ("start", "success", "failure", "discard", "snapshot"),
        "What each button of `joy` (sensor_msgs/Joy) does, from button 0 on.",
    )
    button_topics: tuple[str, ...] = leaf(
        tuple(f"/joycon/functional_buttons/{name}_button" for name in ("a", "x", "y")),
        "Buttons that are topics of their own (std_msgs/Bool), as JoyLo's are.",
    )
    button_actions: tuple[str, ...] = leaf(
        ("start_or_success", "failure", "discard"), "What each of these does, in the same order."
    )
    debounce_s: float = leaf(
        0.3, "A button that is pressed again within this time is not heard.", unit="s", low=0.0, high=5.0
    )


@dataclass(frozen=True)
class SimConfig:
    """sim_node."""

    task: str = leaf("pick_place", "Task in the scene.", choices=TASKS)
    seed: int = leaf(0, "Seed of the first layout; each reset takes the next.", low=0)
    inference_latency_s: float = leaf(
        0.06, "A chunk is usable this long after its observation, in simulated time.", unit="s", low=0.0, high=5.0
    )
    slip: float = leaf(
        0.5,
        "Tabletop: how much the drive, friction, mass and balance of things vary with the seed; 0: not at all.",
        low=0.0,
        high=1.0,
    )
    realtime_factor: float = leaf(
        0.0, "Simulated seconds per second at most; 0 runs as fast as it can.", low=0.0, high=100.0, dynamic=True
    )
    answer_timeout_s: float = leaf(
        5.0, "Longest wait for the answers to one tick, on steady time.", unit="s", low=0.05, high=600.0
    )


@dataclass(frozen=True)
class SupervisorConfig:
    """supervisor_node."""

    heartbeat_timeout_s: float = leaf(
        3.0, "A node that is silent for this long is reported as dead.", unit="s", low=0.2, high=60.0
    )
    transition_timeout_s: float = leaf(
        20.0, "Longest wait for one lifecycle transition.", unit="s", low=0.5, high=600.0
    )
    max_episode_s: float = leaf(20.0, "Longest episode, in graph time.", unit="s", low=0.1, high=3600.0, dynamic=True)
    settle_s: float = leaf(
        0.5,
        "How long an episode goes on after success, in graph time; never less than policy.horizon steps.",
        unit="s",
        low=0.0,
        high=60.0,
    )


@dataclass(frozen=True)
class WorldModelConfig:
    """world_model_node."""

    kind: str = leaf(
        "none",
        "Which world model imagines: the last picture again, the learnt one, or its rival that predicts a video; "
        "none: its node is not started.",
        choices=("copy_last", "umm", "video", "none"),
    )
    checkpoint: str = leaf("", "Folder of a learnt world model; copy_last has none.")
    device: str = leaf("cpu", "Where a learnt world model computes.", choices=("cpu", "cuda"))
    quantize: str = leaf(
        "none",
        "How the large weights of umm are kept: as they are, in 8 bits, or in 4.",
        choices=("none", "int8", "nf4"),
    )
    judge: str = leaf("", "Folder of a Qwen3-VL that judges in the world model's place; empty: it judges by itself.")
    max_samples: int = leaf(16, "The most samples that one request may ask for.", low=1, high=1024, dynamic=True)
    max_chunks: int = leaf(16, "The most chunks that one request may send.", low=1, high=1024, dynamic=True)
    max_batch: int = leaf(16, "The most rows in one call of the model, of all requests together.", low=1, high=1024)
    max_waiting: int = leaf(8, "The most requests at a time; further ones are refused.", low=1, high=1000)
    time_limit_s: float = leaf(
        30.0, "Limit of a request that names none, on steady time.", unit="s", low=0.01, high=600.0, dynamic=True
    )
    reply_limit_mb: float = leaf(
        4.0,
        "Larger replies are refused: the transport is slow with them.",
        unit="MB",
        low=0.01,
        high=64.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class PageConfig:
    """The page for browsers that shows cameras and dreams."""

    enabled: bool = leaf(False, "Serve the page.")
    host: str = leaf(
        "127.0.0.1",
        "Address to listen on; 0.0.0.0 for all of this machine's. Beyond loopback a token is needed to look.",
    )
    port: int = leaf(8765, "Port to listen on; 0 takes a free one.", low=0, high=65535)
    token: str = leaf(
        "", "The token; empty: beyond loopback one is made at each start and logged. Parameters can be read by others."
    )


@dataclass(frozen=True)
class ImaginationViewConfig:
    """imagination_view_node."""

    enabled: bool = leaf(True, "Start imagination_view_node beside world_model_node.")
    samples: int = leaf(4, "Dreams of one chunk that the menu's 'imagine samples' asks for.", low=2, high=64)
    every: int = leaf(
        0,
        "What was executed from every n-th chunk on is imagined too, once it is over, and held against what the "
        "cameras saw; 0: never.",
        low=0,
        high=100000,
        dynamic=True,
    )
    tolerance: float = leaf(
        0.02,
        "A dream is held against reality if the arm kept to its way within this share of how far it could have gone.",
        low=0.0,
        high=1.0,
        dynamic=True,
    )
    mean_over: int = leaf(50, "Comparisons that the mean errors are of.", low=1, high=10000)
    jpeg_quality: int = leaf(
        0,
        "Of the imagined views on their way here, where raw ones are too large; 0: raw.",
        low=0,
        high=100,
        dynamic=True,
    )
    frame_id: str = leaf("world", "Frame of the markers; RViz shows them without tf if it is its fixed frame.")


@dataclass(frozen=True)
class Config:
    """The whole tree."""

    robot: str = leaf("arx_x5", "Which robot; see `vla-mbpo doctor` for the list.")
    robot_id: str = leaf(
        "",
        "Name of this very robot, carried by every command; empty takes the robot's name, with '-sim' in simulation.",
    )
    control_hz: float = leaf(0.0, "Control rate; 0 takes the robot's own.", unit="Hz", low=0.0, high=1000.0)
    instruction: str = leaf("", "What the policy is asked to do.")
    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    topics: dict[str, str] = leaf({}, "Our topic name -> the name it has on this robot.", ros=False)  # noqa: RUF009
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    recorder: RecorderConfig = field(default_factory=RecorderConfig)
    operator: OperatorConfig = field(default_factory=OperatorConfig)
    sim: SimConfig = field(default_factory=SimConfig)
    supervisor: SupervisorConfig = field(default_factory=SupervisorConfig)
    world_model: WorldModelConfig = field(default_factory=WorldModelConfig)
    page: PageConfig = field(default_factory=PageConfig)
    imagination_view: ImaginationViewConfig = field(default_factory=ImaginationViewConfig)
