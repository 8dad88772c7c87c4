"""Messages in, observations out: the same object in a live node and over a bag.

    color/image_raw, …/compressed ──decode──┐
                                            ├─ Aligner ──at(T)──────────> Observation   what a policy acts on
    joint_states ───────────────────decode──┘          └─exactly(stamps)> Observation   what it has acted on

So decoding and resampling cannot differ between the robot and the learner; `test/nodes/test_parity.py` proves it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vla_mbpo_ros.data.episodes.alignment import KEEP, Aligner
from vla_mbpo_ros.errors import ContractError, StaleError
from vla_mbpo_ros.messages.images import decode_frame
from vla_mbpo_ros.messages.joints import decode_joint_state
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Frame, JointState, Observation

JOINTS = "joint_states"  # its name among the sources, beside those of the cameras
IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


def decode_color(message: Any, type_name: str = IMAGE) -> Frame:
    """A colour image as its driver sent it, raw or compressed. ContractError if it is none."""
    if type_name == IMAGE:
        return decode_frame(message)
    if type_name == COMPRESSED_IMAGE:
        # imported late: raw images need no decoder of files
        from vla_mbpo_ros.messages.compressed import decode_compressed
        from vla_mbpo_ros.messages.stamps import to_ns

        return Frame(to_ns(message.header.stamp), decode_compressed(message))
    raise ContractError(f"A {type_name} is no colour image.", f"Send {IMAGE} or {COMPRESSED_IMAGE}.")


class ObservationBuilder:
    """Of one robot. `max_age_s` names the cameras that an observation must have, with the age limit of each."""

    def __init__(
        self,
        robot: RobotSpec,
        max_age_s: Mapping[str, float],
        joints_max_age_s: float,
        nearest: Mapping[str, float] | None = None,
        keep: int | None = KEEP,
    ) -> None:
        self.robot, self.cameras = robot, tuple(max_age_s)
        self._aligner = Aligner({**max_age_s, JOINTS: joints_max_age_s}, nearest, keep)

    def add_image(self, camera: str, message: Any, type_name: str = IMAGE) -> Frame:
        """What was decoded; an image that is not newer than the last one is left out."""
        frame = decode_color(message, type_name)
        self.add_frame(camera, frame)
        return frame

    def add_frame(self, camera: str, frame: Frame) -> None:
        """For who must look at the image before it counts."""
        self._aligner.add(camera, frame.stamp_ns, frame.image)

    def add_joints(self, message: Any) -> JointState:
        state = decode_joint_state(message, self.robot)
        self._aligner.add(JOINTS, state.stamp_ns, state.position)
        return state

    def newest_ns(self, source: str) -> int:
        """Stamp of the newest item of a camera or of "joint_states"; -1 before the first."""
        return self._aligner.newest_ns(source)

    def at(self, time_ns: int, instruction: str, needed: Collection[str] | None = None) -> Observation:
        """What is known at this moment. StaleError names the first source that is silent or too old.

        Cameras that are not in `needed` may be so, and are left out then; by default every camera is needed.
        """
        must = (*(self.cameras if needed is None else needed), JOINTS)
        parts = {}
        for name in (*self.cameras, JOINTS):
            try:
                parts[name] = self._aligner.pick(name, time_ns)
            except StaleError:
                if name in must:
                    raise
        return self._observation(time_ns, instruction, parts)

    def exactly(self, stamps_ns: Mapping[str, int], time_ns: int, instruction: str) -> Observation:
        """What a chunk was proposed from, by the stamps that it lists. StaleError names the first that is missing."""
        missing = [name for name in (*self.cameras, JOINTS) if name not in stamps_ns]
        if missing:
            raise ContractError(
                f"The sources of a chunk do not name {', '.join(missing)}.", "Let its policy list every source."
            )
        wanted = {name: stamps_ns[name] for name in (*self.cameras, JOINTS)}
        return self._observation(time_ns, instruction, self._aligner.exactly(wanted))

    def set_max_age(self, max_age_s: Mapping[str, float], joints_max_age_s: float) -> None:
        self._aligner.set_max_age({**max_age_s, JOINTS: joints_max_age_s})

    def clear(self) -> None:
        self._aligner.clear()

    def _observation(self, time_ns: int, instruction: str, parts: Mapping[str, tuple[int, Any]]) -> Observation:
        return Observation(
            stamp_ns=time_ns,
            images={name: parts[name][1] for name in self.cameras if name in parts},
            state=parts[JOINTS][1],
            instruction=instruction,
            source_stamps_ns={name: stamp for name, (stamp, _) in parts.items()},
        )
