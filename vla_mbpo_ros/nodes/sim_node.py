"""The simulator: the same topics as a robot, `/clock`, and lock-step with whoever takes part."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, Image
from sensor_msgs.msg import JointState as JointStateMessage

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.messages.camera_info import encode_camera_info, encode_frame_info
from vla_mbpo_ros.messages.images import fill_image
from vla_mbpo_ros.messages.joints import decode_command, encode_joint_state
from vla_mbpo_ros.messages.stamps import fill_stamp, to_ns
from vla_mbpo_ros.msg import FrameInfo, JointCommand, SimState, TickDone
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.compressed_color import CompressedColor
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.schema import Frame
from vla_mbpo_ros.sim.factory import make_twin
from vla_mbpo_ros.sim.lockstep import Lockstep
from vla_mbpo_ros.sim.render import backend
from vla_mbpo_ros.srv import Reset

START_NS = 1_000_000_000  # simulated time starts at one second: zero means "no time yet" in ROS
RATE_SLACK = 0.01  # of the control rate; rates are written with few digits
POLL_S = 0.005  # how often pace and deadlines are looked at, on steady time


class SimNode(ManagedNode):
    SECTIONS = ("sim", "cameras", "instruction")

    def __init__(self) -> None:
        super().__init__("sim_node")
        self._tick = self._episode = -1  # over the node's whole life: time never runs backwards

    def build(self) -> None:
        self._dt_ns = round(1e9 / self.cfg.control_hz)
        self._every = {name: self._ticks_between_frames(name) for name in self.cfg.cameras}
        self._twin = make_twin(self.cfg)
        self._lockstep = Lockstep()
        self._total = self._episode_tick = 0
        self._frames = dict.fromkeys(self.cfg.cameras, 0)
        self._seed = self.cfg.sim.seed
        self._late: tuple[str, ...] = ()
        self._make_publishers()
        self.sub(JointCommand, "robot/executed_command", self._on_command, qos.STATE)
        self.sub(TickDone, "sim/tick_done", self._on_tick_done, qos.EVENT)
        self.serve(Reset, "sim/reset", self._on_reset)
        self.every(POLL_S, self._poll)

    def start(self) -> None:
        self._publish_camera_info()
        self._begin_episode(self._seed)

    def dismantle(self) -> None:
        if hasattr(self, "_twin"):
            self._twin.close()

    def diagnose(self, status: diagnostics.Status) -> None:
        status.add("participants", ", ".join(self._lockstep.participants) or "none: running at real time")
        status.add("waiting for", ", ".join(self._lockstep.missing) or "nobody")
        status.add("control ticks", str(self._total))
        status.add("seed", str(self._seed))

    def _make_publishers(self) -> None:
        self._clock_pub = self.pub(ClockMessage, "/clock", qos.STATE)
        self._joints_pub = self.pub(JointStateMessage, "sim/joint_states", qos.STATE)
        self._state_pub = self.pub(SimState, "sim/state", qos.EVENT)
        self._image_pubs = {c: self.pub(Image, f"{c}/color/image_raw", qos.IMAGE) for c in self.cfg.cameras}
        self._frame_pubs = {c: self.pub(FrameInfo, f"{c}/color/frame_info", qos.EVENT) for c in self.cfg.cameras}
        self._info_pubs = {c: self.pub(CameraInfo, f"{c}/color/camera_info", qos.LATCHED) for c in self.cfg.cameras}
        self._images = {c: Image() for c in self.cfg.cameras}  # filled again for every frame
        self._frame_ids = {c.name: c.frame_id for c in self.robot.cameras}
        self._compressed = {
            name: CompressedColor(self, name, self._frame_ids[name], camera.jpeg_quality)
            for name, camera in self.cfg.cameras.items()
        }

    # -- one turn of the wheel -----------------------------------------------------------------------------------

    @property
    def _now_ns(self) -> int:
        return START_NS + self._tick * self._dt_ns

    def _begin_tick(self) -> None:
        """Publish everything of this tick; the answers to it are awaited."""
        self._lockstep.begin(self._now_ns, time.monotonic())
        clock = ClockMessage()
        fill_stamp(clock.clock, self._now_ns)
        self._clock_pub.publish(clock)
        state = replace(self._twin.joint_state(), stamp_ns=self._now_ns)
        self._joints_pub.publish(encode_joint_state(state, self.robot, JointStateMessage))
        cameras = self._due_cameras()
        for camera in cameras:
            self._publish_frame(camera)
        self._publish_state(cameras)

    def _end_tick(self) -> None:
        """Physics for one control period, then the next tick."""
        self._twin.step(self._target)
        self._tick += 1
        self._total += 1
        self._episode_tick += 1
        self._begin_tick()

    def _poll(self) -> None:
        late = self._lockstep.expire(time.monotonic(), self.cfg.sim.answer_timeout_s)
        if late:
            self._late = late
            self.complain(
                f"No answer from {', '.join(late)} for {self.cfg.sim.answer_timeout_s:.1f} s; going on without. "
                "See the log of that node."
            )
        self._advance()

    def _advance(self) -> None:
        if not self._lockstep.missing and time.monotonic() >= self._lockstep.since_s + self._pace_s():
            self._end_tick()

    def _pace_s(self) -> float:
        """Least steady time of one tick. With nobody to wait for, real time."""
        factor = self.cfg.sim.realtime_factor or (0.0 if self._lockstep.participants else 1.0)
        return self._dt_ns * 1e-9 / factor if factor else 0.0

    # -- answers -------------------------------------------------------------------------------------------------

    def _on_command(self, message: JointCommand) -> None:
        if message.robot_id != self.robot_id:
            raise ContractError(
                f"A command for robot '{message.robot_id}' reached the simulation '{self.robot_id}'.",
                "Let two graphs not share one ROS domain, or give them namespaces.",
            )
        command = decode_command(message, self.robot)
        if command.stamp_ns == self._now_ns:
            self._target = command.values
        self._lockstep.answer("robot", command.stamp_ns)
        self._advance()

    def _on_tick_done(self, message: TickDone) -> None:
        if message.leaving:
            self._lockstep.leave(message.node)
        else:
            self._lockstep.answer(message.node, to_ns(message.stamp))
        self._advance()

    # -- episodes ------------------------------------------------------------------------------------------------

    def _on_reset(self, request: Reset.Request, response: Reset.Response) -> None:
        if request.task:
            self._twin.choose(request.task)
        self._begin_episode(request.seed if request.seed >= 0 else self._seed + 1)
        response.success, response.seed = True, self._seed
        response.message = f"Episode {self._episode}, seed {self._seed}."
        response.instruction = self._twin.instruction
        fill_stamp(response.stamp, self._now_ns)

    def _begin_episode(self, seed: int) -> None:
        self._seed, self._episode_tick, self._late = seed, 0, ()
        self._twin.reset(seed)
        self._target = np.where(self.robot.is_velocity, 0.0, self.robot.home)
        self._episode += 1
        self._tick += 1  # time goes on
        self._begin_tick()

    # -- publishing ----------------------------------------------------------------------------------------------

    def _due_cameras(self) -> list[str]:
        """Cameras with a frame at this tick; at the first tick of an episode all."""
        return [name for name, every in self._every.items() if self._episode_tick % every == 0]

    def _ticks_between_frames(self, camera: str) -> int:
        """A twin renders at its ticks only, so a camera's rate must divide the control rate."""
        hz, control_hz = self.cfg.cameras[camera].hz, self.cfg.control_hz
        ticks = round(control_hz / hz)
        if ticks < 1 or abs(ticks * hz - control_hz) > RATE_SLACK * control_hz:
            raise ConfigError(
                f"cameras.{camera}.hz is {hz:g}, the twin's control rate is {control_hz:g}.",
                f"Use {control_hz:g} Hz or a whole fraction of it, such as {control_hz / 2:g}.",
            )
        return ticks

    def _publish_frame(self, camera: str) -> None:
        size = self.cfg.cameras[camera]
        frame = Frame(self._now_ns, self._twin.render(camera, size.width, size.height), self._frames[camera])
        message, frame_id = self._images[camera], self._frame_ids[camera]
        fill_image(message, frame.image, frame.stamp_ns, frame_id)
        self._image_pubs[camera].publish(message)
        self._compressed[camera].publish(frame)
        self._frame_pubs[camera].publish(encode_frame_info(frame, frame_id, FrameInfo, FrameInfo.SIMULATED))
        self._frames[camera] += 1

    def _publish_state(self, cameras: list[str]) -> None:
        state = SimState(task=self._twin.task_name, instruction=self._twin.instruction)
        fill_stamp(state.header.stamp, self._now_ns)
        state.episode, state.seed, state.step = self._episode, self._seed, self._episode_tick
        state.success, state.total_steps = bool(self._twin.success), self._total
        state.published, state.missing = cameras, list(self._late)
        self._late = ()
        self._state_pub.publish(state)

    def _publish_camera_info(self) -> None:
        for camera in self.robot.cameras:
            size = self.cfg.cameras[camera.name]
            intrinsics = self._twin.camera_intrinsics(camera.name, size.width, size.height)
            message = encode_camera_info(intrinsics, self._now_ns, camera.frame_id, CameraInfo)
            self._info_pubs[camera.name].publish(message)


def make_node() -> SimNode:
    backend()  # trying OpenGL may take seconds; done before the first heartbeat, it delays none
    return SimNode()


def main() -> None:
    run(make_node)


if __name__ == "__main__":
    main()
