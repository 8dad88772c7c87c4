"""What is asked of the world model: from a request, and from the newest messages where it leaves something out.

Images and joint states are kept as they came over the wire, the newest of each, and decoded when somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from sensor_msgs.msg import JointState as JointStateMessage
from std_msgs.msg import String

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.data.episodes.alignment import Aligner
from vla_mbpo_ros.data.episodes.observations import JOINTS, decode_color
from vla_mbpo_ros.errors import ConfigError, ContractError, StaleError, UnknownName
from vla_mbpo_ros.messages.chunks import decode_chunk
from vla_mbpo_ros.messages.columns import check_finite, floats
from vla_mbpo_ros.messages.header import stamp_of_cdr
from vla_mbpo_ros.messages.joints import decode_joint_state
from vla_mbpo_ros.msg import ActionChunk as ActionChunkMessage
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk, FloatArray, Frame, ImageArray
from vla_mbpo_ros.world_model.protocol import Scenes, WorldModel
from vla_mbpo_ros.world_model.requests import Wish

LONGEST_S = 600.0  # limit of any request
LONGEST_TEXT = 1000  # characters of an instruction
_DT = 0.01  # share by which the steps of a chunk may differ from the control period


@dataclass(frozen=True)
class Asked:
    """A request that makes sense."""

    wish: Wish
    observed_ns: tuple[int, ...]  # stamps of the images, one for each of the model's views
    chunk_ns: int  # how long a chunk takes
    reply_views: tuple[str, ...]
    jpeg_quality: int


class Inputs:
    """Of one node and its robot."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._newest: dict[str, bytes] = {}  # source -> message
        self._instruction = ""
        self._chunk: ActionChunkMessage | None = None
        self._watches = {name: node.watch(name, age) for name, age in _ages(node.cfg).items()}
        for camera in node.cfg.cameras:
            node.sub_raw(Image, f"{camera}/color/image_raw", partial(self._keep, camera), qos.NEWEST_IMAGE)
        node.sub_raw(JointStateMessage, JOINTS, partial(self._keep, JOINTS), qos.STATE)
        node.sub(ActionChunkMessage, "policy/action_chunk", self._on_chunk, qos.EVENT)
        node.sub(String, "instruction", self._on_instruction, qos.LATCHED)

    def _keep(self, source: str, data: bytes, info: dict[str, int]) -> None:
        self._newest[source] = data
        self._watches[source].tick(stamp_of_cdr(data), self._node.now_ns())

    def _on_chunk(self, message: ActionChunkMessage) -> None:
        self._chunk = message

    def _on_instruction(self, message: String) -> None:
        self._instruction = message.data

    # -- a request -----------------------------------------------------------------------------------------------

    def read(self, request: Any, model: WorldModel) -> Asked:
        """An error of our tree names what is wrong with it."""
        cfg, robot = self._node.cfg, self._node.robot
        limits = cfg.world_model
        samples = at_most(int(request.samples) or 1, limits.max_samples, "samples")
        at_most(len(request.chunks), limits.max_chunks, "chunks")
        limit_s = _time_limit(float(request.time_limit_s) or limits.time_limit_s)
        reply_views, quality = _reply_form(request, model)
        chunks = self._chunks(request, model, robot)
        frames = self._frames(request, model)
        scene = Scenes(
            images=np.stack([fitted(frames[view].image, view, model) for view in model.views])[None],
            state=self._state(request, robot)[None],
            instructions=(self._text(request.instruction),),
        )
        return Asked(
            wish=Wish(scene, chunks, samples, int(request.seed), limit_s),
            observed_ns=tuple(frames[view].stamp_ns for view in model.views),
            chunk_ns=model.horizon * round(1e9 / cfg.control_hz),
            reply_views=reply_views,
            jpeg_quality=quality,
        )

    def _frames(self, request: Any, model: WorldModel) -> Mapping[str, Frame]:
        views = list(request.views)
        if not views and not request.images:
            return {view: self._latest(view) for view in model.views}
        if len(views) != len(request.images):
            raise ContractError(f"{len(views)} views and {len(request.images)} images came.", "Send one image a view.")
        for view in views:
            if view not in (*model.views, *self._node.robot.camera_names):
                raise UnknownName("view", view, model.views)
        # A model may have learnt fewer cameras than the robot has; who asks need not know which.
        if sorted(view for view in views if view in model.views) != sorted(model.views):
            raise ContractError(
                f"Images of {', '.join(views)} came, {model.version} sees {', '.join(model.views)}.",
                "Send one of each, or none of all for the latest observation.",
            )
        given = zip(views, request.images, strict=True)
        return {view: decode_color(message) for view, message in given if view in model.views}

    def _state(self, request: Any, robot: RobotSpec) -> FloatArray:
        if not len(request.names) and not len(request.state):
            position: FloatArray = self._latest(JOINTS)
            return position
        what = "The state"
        order = robot.order(list(request.names))
        state = floats(request.state, robot.dof, what)[order]
        check_finite(state, what, robot)
        return state

    def _latest(self, source: str) -> Any:
        """A Frame, or the position of joints; StaleError if it is too old."""
        ages = _ages(self._node.cfg)
        if source not in ages:  # the model knows a camera that these settings leave out
            raise UnknownName("camera", source, self._node.cfg.cameras)
        aligner = Aligner({source: ages[source]})
        now_ns = self._node.now_ns()
        if source in self._newest:
            data = self._newest[source]
            kept_ns = stamp_of_cdr(data)
            # In lock-step a message may overtake the clock that carries its stamp.
            now_ns = max(now_ns, kept_ns)
            aligner.add(source, kept_ns, data)
        _, data = aligner.pick(source, now_ns)
        if source == JOINTS:
            return decode_joint_state(deserialize_message(data, JointStateMessage), self._node.robot).position
        return decode_color(deserialize_message(data, Image))

    def _text(self, given: str) -> str:
        if len(given) > LONGEST_TEXT:
            raise ContractError(
                f"The instruction has {len(given)} characters, {LONGEST_TEXT} is the most.", "Say it in a sentence."
            )
        text = given or self._instruction or self._node.cfg.instruction
        if not text:
            raise ContractError("No instruction came, and none is followed now.", "Send one with the request.")
        return text

    def _chunks(self, request: Any, model: WorldModel, robot: RobotSpec) -> FloatArray:
        """(C, K, N)"""
        messages = list(request.chunks) or [self._proposed()]
        period_ns = 1e9 / self._node.cfg.control_hz
        chunks = [decode_chunk(message, robot) for message in messages]
        for index, chunk in enumerate(chunks):
            _check_chunk(f"Chunk {index} of the request", chunk, model, robot, period_ns)
        return np.stack([chunk.values for chunk in chunks])

    def _proposed(self) -> ActionChunkMessage:
        """The newest, while it is not over."""
        if self._chunk is None:
            raise StaleError("No chunk came, and no policy has proposed one.", "Send one or more with the request.")
        age_ns = self._node.now_ns() - decode_chunk(self._chunk, self._node.robot).end_ns
        if age_ns > 0:
            raise StaleError(
                f"No chunk came, and the newest proposed one ended {age_ns / 1e9:.1f} s ago.", "Send one or more."
            )
        return self._chunk


def at_most(count: int, most: int, what: str) -> int:
    """`count`, unless it is too large."""
    if count > most:
        cure = f"Ask for fewer at once; the limit is the parameter world_model.max_{what}."
        raise ContractError(f"The request has {count} {what}, {most} is the most.", cure)
    return count


def fitted(image: ImageArray, view: str, model: WorldModel) -> ImageArray:
    """The image as the model sees it."""
    height, width = model.size
    if image.shape[:2] == (height, width):
        return image
    if height != width:
        raise ContractError(
            f"The image of '{view}' is {image.shape[1]} x {image.shape[0]}, {model.version} sees {width} x {height}.",
            "Send that size.",
        )
    # imported late: it brings torch, which pictures of the right size do not need
    from vla_mbpo_ros.models.pictures import fit

    return fit(image, height)


def _ages(cfg: Config) -> dict[str, float]:
    """Source -> maximum age [s]."""
    return {**{name: camera.max_age_s for name, camera in cfg.cameras.items()}, JOINTS: cfg.policy.max_state_age_s}


def _time_limit(limit_s: float) -> float:
    if not (math.isfinite(limit_s) and 0.0 < limit_s <= LONGEST_S):
        raise ConfigError(f"A time limit of {limit_s} s.", f"Give more than 0 s and at most {LONGEST_S:g} s.")
    return limit_s


def _reply_form(request: Any, model: WorldModel) -> tuple[tuple[str, ...], int]:
    views, quality = tuple(request.reply_views) or model.views, int(request.jpeg_quality)
    for view in views:
        if view not in model.views:
            raise UnknownName("view", view, model.views, "reply_views")
    if len(set(views)) != len(views):
        raise ContractError(f"reply_views names a view twice: {', '.join(views)}.", "Name each once.")
    if quality > 100:
        raise ContractError(f"{quality} is no JPEG quality.", "Give 1 to 100, or 0 for raw images.")
    return views, quality


def _check_chunk(what: str, chunk: ActionChunk, model: WorldModel, robot: RobotSpec, period_ns: float) -> None:
    if chunk.horizon != model.horizon:
        cause = f"{what} has {chunk.horizon} steps, {model.version} imagines chunks of {model.horizon}."
        raise ContractError(cause, "Cut what is to be done into chunks of that length.")
    if abs(chunk.dt_ns - period_ns) > _DT * period_ns:
        cause = f"The steps of {what[0].lower()}{what[1:]} take {chunk.dt_ns / 1e9:g} s, here {period_ns / 1e9:g} s."
        raise ContractError(cause, "Send it at the control rate (control_hz).")
    for row in chunk.values:
        check_finite(row, what, robot)
