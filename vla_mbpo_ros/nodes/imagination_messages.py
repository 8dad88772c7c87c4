"""A question for the world model as a goal, and its answer as a dream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.action import Imagine
from vla_mbpo_ros.data.episodes.observations import JOINTS
from vla_mbpo_ros.evaluation.courses import Course
from vla_mbpo_ros.evaluation.dreams import Dream, as_seen
from vla_mbpo_ros.messages.chunks import encode_chunk
from vla_mbpo_ros.messages.columns import double_array
from vla_mbpo_ros.messages.compressed import decode_compressed
from vla_mbpo_ros.messages.images import decode_image
from vla_mbpo_ros.msg import ActionChunk as ActionChunkMessage
from vla_mbpo_ros.msg import ImaginedStep
from vla_mbpo_ros.nodes.imagination_inputs import Sights
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk, ImageArray


@dataclass(frozen=True)
class Wish:
    """What is to be imagined from where a course begins."""

    how: str  # in words
    course: Course
    chunk: ActionChunk
    samples: int = 1
    seed: int = 0
    asked: bool = True  # by a person, who comes before what is imagined by itself


def goal_of(wish: Wish, sights: Sights, robot: RobotSpec, jpeg_quality: int) -> Imagine.Goal:
    before = wish.course.before
    views = [name for name in before if name != JOINTS]
    return Imagine.Goal(
        views=views,
        images=[sights.image_message(before[view]) for view in views],
        names=list(robot.names),
        state=double_array(sights.position(before[JOINTS])),
        chunks=[encode_chunk(wish.chunk, robot, ActionChunkMessage)],
        instruction=wish.chunk.instruction,
        samples=wish.samples,
        seed=wish.seed,
        jpeg_quality=jpeg_quality,
    )


def dream_of(wish: Wish, result: Imagine.Result, sights: Sights) -> Dream:
    """Off the executor's thread: it decodes pictures."""
    samples, chunks = 1 + max(step.sample for step in result.steps), 1 + max(step.chunk for step in result.steps)
    pictures = {(step.sample, step.chunk): _pictures(step) for step in result.steps}
    success = np.full((samples, chunks), np.nan)
    for step in result.steps:
        success[step.sample, step.chunk] = step.success_probability
    first = pictures[0, 0]
    return Dream(
        how=wish.how,
        observed_ns=wish.chunk.observed_ns,
        chunk_ns=wish.chunk.horizon * wish.chunk.dt_ns,
        before={view: as_seen(sights.image(wish.course.before[view]), made) for view, made in first.items()},
        imagined=tuple(tuple(pictures[s, c] for c in range(chunks)) for s in range(samples)),
        success=success,
        model_version=result.model_version,
        chunk_id=wish.chunk.chunk_id,
        instruction=wish.chunk.instruction,
        seed=wish.seed,
        elapsed_s=float(result.elapsed_s),
        asked=wish.asked,
    )


def truth_of(dream: Dream, course: Course, sights: Sights) -> dict[str, ImageArray]:
    """What the cameras saw at the course's end, as the model sees it."""
    return {view: as_seen(sights.image(course.truth[view]), dream.before[view]) for view in dream.views}


def _pictures(step: ImaginedStep) -> dict[str, ImageArray]:
    made = [decode_image(image) for image in step.images] or [decode_compressed(image) for image in step.compressed]
    return dict(zip(step.views, made, strict=True))
