"""What was imagined, as messages; and replies that are too large for the transport."""

from __future__ import annotations

import math
from collections.abc import Sequence

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.columns import double_array
from vla_mbpo_ros.messages.compressed import encode_compressed
from vla_mbpo_ros.messages.images import fill_image
from vla_mbpo_ros.messages.stamps import fill_stamp, from_ns
from vla_mbpo_ros.msg import ImaginedStep
from vla_mbpo_ros.nodes.world_model_inputs import Asked
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ImageArray
from vla_mbpo_ros.world_model.protocol import StateSource, WorldModel
from vla_mbpo_ros.world_model.requests import Step

MB = 1_000_000
_SOURCES = {
    StateSource.NONE: ImaginedStep.NONE,
    StateSource.COMMANDED: ImaginedStep.COMMANDED,
    StateSource.PREDICTED: ImaginedStep.PREDICTED,
    StateSource.SIMULATED: ImaginedStep.SIMULATED,
}


class Replies:
    """For one request."""

    def __init__(self, asked: Asked, model: WorldModel, robot: RobotSpec, limit_mb: float) -> None:
        self._asked, self._model, self._robot, self._limit_mb = asked, model, robot, limit_mb
        if not asked.jpeg_quality:  # else only the pictures themselves can tell
            height, width = model.size
            self._refuse(asked.wish.samples * len(asked.wish.chunks) * len(asked.reply_views) * height * width * 3)

    @property
    def observed(self) -> list[Time]:
        return [from_ns(stamp, Time) for stamp in self._asked.observed_ns]

    def encode(self, steps: Sequence[Step]) -> list[ImaginedStep]:
        """ContractError if they are too large together."""
        messages = [self.step(step) for step in steps]
        self._refuse(sum(len(image.data) for message in messages for image in message.compressed))
        return messages

    def step(self, step: Step) -> ImaginedStep:
        asked, robot = self._asked, self._robot
        message = ImaginedStep(chunk=step.chunk, sample=step.sample, views=list(asked.reply_views))
        stamp_ns = max(asked.observed_ns) + (step.chunk + 1) * asked.chunk_ns
        fill_stamp(message.header.stamp, stamp_ns)
        for view in asked.reply_views:
            self._add(message, view, step.images[self._model.views.index(view)], stamp_ns)
        message.next_state_source = _SOURCES[step.source]
        if step.source is not StateSource.NONE:
            message.names, message.next_state = list(robot.names), double_array(step.state)
        message.success_probability = step.success
        message.value = math.nan  # no policy is here to be asked
        message.model_version, message.elapsed_s = self._model.version, step.elapsed_s
        return message

    def _add(self, message: ImaginedStep, view: str, image: ImageArray, stamp_ns: int) -> None:
        frame_id, quality = f"imagined/{view}", self._asked.jpeg_quality
        if quality:
            message.compressed.append(encode_compressed(image, stamp_ns, frame_id, quality, CompressedImage))
            return
        raw = Image()
        fill_image(raw, image, stamp_ns, frame_id)
        message.images.append(raw)

    def _refuse(self, size: int) -> None:
        if size > self._limit_mb * MB:
            raise ContractError(
                f"The reply would have {size / MB:.1f} MB, {self._limit_mb:g} MB is the most.",
                "Ask for fewer reply_views, samples or chunks, or for JPEGs by jpeg_quality.",
            )
