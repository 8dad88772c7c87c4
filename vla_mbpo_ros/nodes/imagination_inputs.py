"""What imagination_view_node hears: cameras, joints, proposed chunks, executed commands. Kept as it came over the
wire, and decoded when a dream needs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState

from vla_mbpo_ros.data.episodes.observations import JOINTS, decode_color
from vla_mbpo_ros.errors import StaleError
from vla_mbpo_ros.evaluation.courses import COMMANDS, Course, Courses
from vla_mbpo_ros.messages.chunks import decode_chunk
from vla_mbpo_ros.messages.header import stamp_of_cdr
from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import ActionChunk, JointCommand, SimState
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.schema import ActionChunk as ProposedChunk
from vla_mbpo_ros.schema import Command, FloatArray, ImageArray


class Sights:
    """Of one node. `proposed` and `over` are told of courses that begin and end."""

    def __init__(
        self, node: ManagedNode, proposed: Callable[[Course], None], over: Callable[[list[Course]], None]
    ) -> None:
        self._node, self._proposed, self._over = node, proposed, over
        cfg = node.cfg
        ages = {name: camera.max_age_s for name, camera in cfg.cameras.items()}
        control_dt_ns = round(1e9 / cfg.control_hz)
        self._courses = Courses(node.robot, ages, cfg.policy.max_state_age_s, control_dt_ns, self._command)
        self.missed, self.why_missed = 0, ""  # chunks whose observation is not here
        self.newest: dict[str, tuple[int, bytes]] = {}  # camera -> stamp [ns] and message; any thread may look
        self._chunk: ProposedChunk | None = None  # until what it was made of is here
        image_qos = qos.IMAGE if node.simulated else qos.NEWEST_IMAGE  # a simulation may run faster than we look
        for camera in cfg.cameras:
            node.sub_raw(Image, f"{camera}/color/image_raw", partial(self._keep, camera), image_qos)
        node.sub_raw(JointState, JOINTS, partial(self._keep, JOINTS), qos.STATE)
        node.sub_raw(JointCommand, COMMANDS, partial(self._keep, COMMANDS), qos.EVENT)
        node.sub(ActionChunk, "policy/action_chunk", self._on_chunk, qos.EVENT)
        if node.simulated:
            node.sub(SimState, "sim/state", self._on_sim_state, qos.EVENT)

    @property
    def latest(self) -> Course:
        """Of the newest chunk that was proposed."""
        if self._courses.newest is None:
            cause = f"No chunk of this episode is known here. {self.why_missed}".strip()
            raise StaleError(cause, "Let a policy act, or choose the do-nothing control.")
        return self._courses.newest

    def still(self) -> Course:
        """Of a chunk that commands nothing from now on."""
        return self._courses.stand_still(self._node.cfg.policy.horizon, self.position)

    @staticmethod
    def image_message(data: bytes) -> Image:
        message: Image = deserialize_message(data, Image)
        return message

    def image(self, data: bytes) -> ImageArray:
        return decode_color(self.image_message(data)).image

    def position(self, data: bytes) -> FloatArray:
        return decode_joint_state(deserialize_message(data, JointState), self._node.robot).position

    def _command(self, data: bytes) -> Command:
        return decode_command(deserialize_message(data, JointCommand), self._node.robot)

    def _keep(self, source: str, data: bytes, info: dict[str, int]) -> None:
        stamp_ns = stamp_of_cdr(data)
        if source in self._node.cfg.cameras:
            self.newest[source] = stamp_ns, data
        if ended := self._courses.add(source, stamp_ns, data):
            self._over(ended)
        self._follow()

    def _on_chunk(self, message: ActionChunk) -> None:
        self._chunk = decode_chunk(message, self._node.robot)
        self._follow()

    def _follow(self) -> None:
        if self._chunk is None or self._courses.is_ahead(self._chunk):
            return
        chunk, self._chunk = self._chunk, None
        try:
            course = self._courses.follow(chunk)
        except StaleError as error:  # a frame was lost on its way here, where nobody waits for us
            self.missed, self.why_missed = self.missed + 1, error.cause
            return
        self._proposed(course)

    def _on_sim_state(self, message: SimState) -> None:
        if ended := self._courses.tick(to_ns(message.header.stamp), message.episode):
            self._over(ended)
