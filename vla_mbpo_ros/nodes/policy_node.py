"""Observations in, action chunks out. Inference runs on a worker thread; without an instruction the policy rests."""

from __future__ import annotations

import secrets
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from sensor_msgs.msg import Image
from sensor_msgs.msg import JointState as JointStateMessage
from std_msgs.msg import String

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.data.episodes.observations import JOINTS, ObservationBuilder, decode_color
from vla_mbpo_ros.devices.cameras.watch import FrozenFrameDetector
from vla_mbpo_ros.errors import DeviceError, StaleError
from vla_mbpo_ros.messages.chunks import encode_chunk
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import ActionChunk as ActionChunkMessage
from vla_mbpo_ros.msg import SimState, TickDone
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.policy.factory import make_policy
from vla_mbpo_ros.schema import ActionChunk, Observation
from vla_mbpo_ros.srv import SetInstruction


class PolicyNode(ManagedNode):
    SECTIONS = ("policy", "cameras", "instruction")

    def __init__(self) -> None:
        super().__init__("policy_node")

    def build(self) -> None:
        self._dt_ns = round(1e9 / self.cfg.control_hz)
        self._policy = make_policy(self.cfg.policy, self.robot, self.cfg.control_hz)
        self._seen = ObservationBuilder(self.robot, self._camera_ages(self.cfg), self.cfg.policy.max_state_age_s)
        self._frozen = {
            # A simulated camera before a still scene rightly sends equal pictures.
            name: FrozenFrameDetector(name, camera.max_age_s, pixels=not self.simulated)
            for name, camera in self.cfg.cameras.items()
        }
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy")
        self._inference: Future[ActionChunk] | None = None
        self._instruction = self.cfg.instruction if self.cfg.policy.start else ""
        self._session = secrets.randbits(31) << 32  # makes chunk ids unique over restarts
        self._chunks = 0  # asked of the policy
        self._plans, self._drawn = 0, 0  # plans begun, and chunks asked of this one
        self._newest_id = 0  # newest chunk that was published
        self._last_chunk_ns: int | None = None  # observation time of the newest chunk
        self._sim: SimState | None = None  # the tick that is to be answered, in lock-step
        self._sim_episode = self._episode_seed = 0
        self._make_entities()

    def start(self) -> None:
        self._begin(self._instruction)

    def stop(self) -> None:
        if self.simulated:
            self._tick_done.publish(TickDone(node="policy", leaving=True))
            self.until_received(self._tick_done)

    def dismantle(self) -> None:
        if hasattr(self, "_worker"):
            self._worker.shutdown(wait=False, cancel_futures=True)

    def changed(self, cfg: Config) -> None:
        if hasattr(self, "_seen"):
            self._seen.set_max_age(self._camera_ages(cfg), cfg.policy.max_state_age_s)

    def diagnose(self, status: diagnostics.Status) -> None:
        status.add("policy", self._policy.version)
        status.add("instruction", self._instruction or "none: resting")
        status.add("chunks", str(self._chunks))

    def _make_entities(self) -> None:
        self._chunk_pub = self.pub(ActionChunkMessage, "policy/action_chunk", qos.EVENT)
        self._instruction_pub = self.pub(String, "instruction", qos.LATCHED)
        self._inferred = self.from_thread(self._on_inferred)
        self.serve(SetInstruction, "policy/set_instruction", self._on_set_instruction)
        ages = {**self._camera_ages(self.cfg), JOINTS: self.cfg.policy.max_state_age_s}
        self._watches = {name: self.watch(name, age) for name, age in ages.items()}
        image_qos = qos.IMAGE if self.simulated else qos.NEWEST_IMAGE  # in lock-step every frame counts
        for camera in self.cfg.cameras:
            self.sub(Image, f"{camera}/color/image_raw", partial(self._on_image, camera), image_qos)
        self.sub(JointStateMessage, JOINTS, self._on_joints, qos.STATE)
        if self.simulated:
            self._tick_done = self.pub(TickDone, "sim/tick_done", qos.EVENT)
            self.sub(SimState, "sim/state", self._on_sim_state, qos.EVENT)

    # -- inputs --------------------------------------------------------------------------------------------------

    def _on_image(self, camera: str, message: Image) -> None:
        frame = decode_color(message)
        self._watches[camera].problem = problem = self._frozen[camera].see(frame, self.now_ns())
        if problem:
            raise DeviceError(problem)
        self._seen.add_frame(camera, frame)
        self._has_come(camera, frame.stamp_ns)

    def _on_joints(self, message: JointStateMessage) -> None:
        self._has_come(JOINTS, self._seen.add_joints(message).stamp_ns)
        if not self.simulated and self._is_due(self.now_ns()):
            self._observe(self.now_ns())

    def _on_sim_state(self, message: SimState) -> None:
        if message.episode != self._sim_episode:
            self._sim_episode, self._episode_seed = message.episode, message.seed
            self._begin(self._instruction)
        self._sim = message
        self._answer_tick()

    def _has_come(self, source: str, stamp_ns: int) -> None:
        self._watches[source].tick(stamp_ns, self.now_ns())
        if self.simulated:
            self._answer_tick()

    def _on_set_instruction(self, request: SetInstruction.Request, response: SetInstruction.Response) -> None:
        self._begin(request.instruction)
        response.success, response.message = True, request.instruction or "Resting."

    def _begin(self, instruction: str) -> None:
        """Start anew with this instruction."""
        self._instruction, self._last_chunk_ns = instruction, None
        self._plans, self._drawn = self._plans + 1, 0
        self._inference = None  # an answer under way belongs to the past
        self._worker.submit(self._policy.reset)
        self._instruction_pub.publish(String(data=instruction))
        self._answer_tick()

    # -- lock-step -----------------------------------------------------------------------------------------------

    def _answer_tick(self) -> None:
        """Answer the current tick at once if nothing is due, else when all of its parts are here."""
        if self._sim is None or self._inference is not None:
            return
        tick_ns = to_ns(self._sim.header.stamp)
        if not self._is_due(tick_ns):
            self._tick_is_done()
        elif all(self._seen.newest_ns(name) >= tick_ns for name in (*self._sim.published, JOINTS)):
            try:
                self._observe(tick_ns)
            except StaleError:
                self._tick_is_done()  # nobody shall wait for a chunk that cannot come
                raise

    def _tick_is_done(self) -> None:
        if self._sim is not None:
            done = TickDone(stamp=self._sim.header.stamp, node="policy", chunk_id=self._newest_id)
            self._tick_done.publish(done)
            self._sim = None

    # -- inference -----------------------------------------------------------------------------------------------

    def _is_due(self, now_ns: int) -> bool:
        if not self._instruction or self._inference is not None:
            return False
        last = self._last_chunk_ns
        # Half a step of slack: stamps of a real clock jitter around the grid.
        return last is None or now_ns - last >= (self.cfg.policy.replan_steps - 0.5) * self._dt_ns

    def _observe(self, time_ns: int) -> None:
        """Take the observation of this moment and infer on the worker thread."""
        observation = self._seen.at(time_ns, self._instruction)
        self._last_chunk_ns = time_ns
        self._chunks, self._drawn = self._chunks + 1, self._drawn + 1
        self._inference = self._worker.submit(self._infer, observation, self._session + self._chunks, self._seed())
        self._inference.add_done_callback(lambda _: self._inferred.trigger())

    def _seed(self) -> int:
        """Of this chunk: the same in every run of a simulated episode, another one in every plan on a robot."""
        plan = self._episode_seed if self.simulated else self._plans
        return zlib.crc32(f"{self.cfg.policy.seed} {plan} {self._drawn}".encode())

    def _infer(self, observation: Observation, chunk_id: int, seed: int) -> ActionChunk:
        """On the worker thread."""
        began = time.perf_counter()
        sample = self._policy.sample(self._policy.encode([observation]), seed)
        return ActionChunk(
            observed_ns=observation.stamp_ns,
            chunk_id=chunk_id,
            dt_ns=self._dt_ns,
            values=sample.values[0],
            instruction=observation.instruction,
            policy_version=self._policy.version,
            value=float(sample.value[0]),
            inference_s=time.perf_counter() - began,
            source_stamps_ns=observation.source_stamps_ns,
        )

    def _on_inferred(self) -> None:
        if self._inference is None or not self._inference.done():
            return  # the one that ended was given up
        inference, self._inference = self._inference, None
        try:
            chunk = inference.result()
            self._newest_id = chunk.chunk_id
            self._chunk_pub.publish(encode_chunk(chunk, self.robot, ActionChunkMessage))
        finally:
            if self.simulated:
                self._tick_is_done()

    @staticmethod
    def _camera_ages(cfg: Config) -> dict[str, float]:
        return {name: camera.max_age_s for name, camera in cfg.cameras.items()}


def main() -> None:
    run(PolicyNode)


if __name__ == "__main__":
    main()
