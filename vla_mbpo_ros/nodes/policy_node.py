"""Observations in, action chunks out. Inference runs on a worker thread; without an instruction the policy rests.

Another policy is loaded and tried out on a thread of its own (`policy/load_checkpoint`), and takes over

    at once             while the policy rests or the robot is disarmed
    at the next of      the policy is told to rest, the robot is disarmed, the simulator is reset

so never in mid-episode. The plan begins anew then, as with a new instruction.
"""

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
from vla_mbpo_ros.errors import DeviceError, StaleError, VlaMbpoError
from vla_mbpo_ros.messages.chunks import encode_chunk
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import ActionChunk as ActionChunkMessage
from vla_mbpo_ros.msg import SafetyState, SimState, TickDone
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.nodes.policy_loading import Actor, Loader, configured_actor
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.policy.protocol import Policy
from vla_mbpo_ros.schema import ActionChunk, Observation
from vla_mbpo_ros.srv import LoadCheckpoint, SetInstruction

LOAD_S = 600.0  # longest wait for a policy to be loaded
_LATER = "when the episode ends, the policy is told to rest or the robot is disarmed"


class PolicyNode(ManagedNode):
    SECTIONS = ("policy", "cameras", "instruction")

    def __init__(self) -> None:
        super().__init__("policy_node")

    def build(self) -> None:
        self._dt_ns = round(1e9 / self.cfg.control_hz)
        self._acting = configured_actor(self.cfg, self.robot)
        self._next: Actor | None = None  # loaded, and waits for the end of the episode
        self._loader = Loader(self.cfg, self.robot)
        self._calls = Calls(self)
        self._armed: bool | None = None  # the robot; None: it has not said so
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
        self._sim_episode, self._episode_seed = -1, 0  # the simulator's first episode is number 0
        self._make_entities()

    def start(self) -> None:
        self._begin(self._instruction, new_episode=True)

    def stop(self) -> None:
        if self.simulated:
            self._tick_done.publish(TickDone(node="policy", leaving=True))
            self.until_received(self._tick_done)

    def dismantle(self) -> None:
        if hasattr(self, "_worker"):
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._loader.close()
            self._calls.close()

    def changed(self, cfg: Config) -> None:
        if hasattr(self, "_seen"):
            self._seen.set_max_age(self._camera_ages(cfg), cfg.policy.max_state_age_s)

    def diagnose(self, status: diagnostics.Status) -> None:
        status.add("policy", self._acting.version)
        status.add("checkpoint", self._acting.checkpoint or "none")
        status.add("next policy", f"{self._next.version} from {self._next.checkpoint}" if self._next else "none")
        status.add("loading", self._loader.path or "nothing")
        status.add("instruction", self._instruction or "none: resting")
        status.add("chunks", str(self._chunks))

    def _make_entities(self) -> None:
        self._chunk_pub = self.pub(ActionChunkMessage, "policy/action_chunk", qos.EVENT)
        self._instruction_pub = self.pub(String, "instruction", qos.LATCHED)
        self._inferred = self.from_thread(self._on_inferred)
        self.serve(SetInstruction, "policy/set_instruction", self._on_set_instruction)
        self.serve(LoadCheckpoint, "policy/load_checkpoint", self._on_load_checkpoint)
        self.sub(SafetyState, "robot/safety_state", self._on_safety_state, qos.LATCHED)
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
        watch = self._watches[camera]
        try:
            frame = decode_color(message)
            problem = self._frozen[camera].see(frame, self.now_ns())
            if problem:
                raise DeviceError(problem)
        except VlaMbpoError as error:
            watch.problem = str(error)  # stays in diagnostics until an image is good again
            raise
        watch.problem = ""
        self._seen.add_frame(camera, frame)
        self._has_come(camera, frame.stamp_ns)

    def _on_joints(self, message: JointStateMessage) -> None:
        self._has_come(JOINTS, self._seen.add_joints(message).stamp_ns)
        if not self.simulated and self._is_due(self.now_ns()):
            self._observe(self.now_ns())

    def _on_sim_state(self, message: SimState) -> None:
        if message.episode != self._sim_episode:
            self._sim_episode, self._episode_seed = message.episode, message.seed
            self._begin(self._instruction, new_episode=True)
        self._sim = message
        self._answer_tick()

    def _has_come(self, source: str, stamp_ns: int) -> None:
        self._watches[source].tick(stamp_ns, self.now_ns())
        if self.simulated:
            self._answer_tick()

    def _on_set_instruction(self, request: SetInstruction.Request, response: SetInstruction.Response) -> None:
        self._begin(request.instruction)
        response.success, response.message = True, request.instruction or "Resting."

    def _begin(self, instruction: str, new_episode: bool = False) -> None:
        """Start anew with this instruction, and with the next policy if it may take over."""
        self._instruction, self._last_chunk_ns = instruction, None
        if self._next is not None and (new_episode or self._may_swap()):
            self._acting, self._next = self._next, None
            self.get_logger().info(f"{self._acting.version} acts now, from {self._acting.checkpoint}.")
        self._plans, self._drawn = self._plans + 1, 0
        self._inference = None  # an answer under way belongs to the past
        self._worker.submit(self._acting.policy.reset)
        self._instruction_pub.publish(String(data=instruction))
        self._answer_tick()

    # -- another policy ------------------------------------------------------------------------------------------

    async def _on_load_checkpoint(self, request: LoadCheckpoint.Request, response: LoadCheckpoint.Response) -> None:
        try:
            response.message = await self._load(request.path, request.dry_run)
            response.success = True
        finally:
            response.version = self._acting.version

    async def _load(self, path: str, dry_run: bool) -> str:
        """What came of it, for people; an error leaves everything as it was."""
        if not self._may_swap():
            self._loader.check_calm()
        job = self._loader.begin(path)
        if not await self._calls.until(job.done, LOAD_S):
            raise VlaMbpoError(f"{path} is not loaded after {LOAD_S:.0f} s.", "Ask again later.")
        self._loader.forget(job)
        loaded = job.result()
        if dry_run:
            return f"{loaded.version} fits. {self._acting.version} goes on."
        self._require_active()
        if loaded is self._acting:  # it was asked for twice
            return f"{loaded.version} acts now."
        replaced = f" {self._next.version} is given up." if self._next not in (None, loaded) else ""
        self._next = loaded
        if not self._may_swap():
            return f"{loaded.version} is loaded and acts {_LATER}.{replaced}"
        self._begin(self._instruction)
        return f"{loaded.version} acts now.{replaced}"

    def _may_swap(self) -> bool:
        """Not while a plan is followed, unless it is known that nothing moves."""
        return not self._instruction or self._armed is False

    def _on_safety_state(self, message: SafetyState) -> None:
        self._armed = message.armed
        if self._next is not None and self._may_swap() and self.is_active:
            self._begin(self._instruction)

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
        actor = self._acting
        observation = actor.view.of(self._seen.at(time_ns, self._instruction, actor.view.needed))
        self._last_chunk_ns = time_ns
        self._chunks, self._drawn = self._chunks + 1, self._drawn + 1
        chunk_id = self._session + self._chunks
        self._inference = self._worker.submit(self._infer, actor.policy, observation, chunk_id, self._seed())
        self._inference.add_done_callback(lambda _: self._inferred.trigger())

    def _seed(self) -> int:
        """Of this chunk: the same in every run of a simulated episode, another one in every plan on a robot."""
        plan = self._episode_seed if self.simulated else self._plans
        return zlib.crc32(f"{self.cfg.policy.seed} {plan} {self._drawn}".encode())

    def _infer(self, policy: Policy, observation: Observation, chunk_id: int, seed: int) -> ActionChunk:
        """On the worker thread."""
        began = time.perf_counter()
        sample = policy.sample(policy.encode([observation]), seed)
        return ActionChunk(
            observed_ns=observation.stamp_ns,
            chunk_id=chunk_id,
            dt_ns=self._dt_ns,
            values=sample.values[0],
            instruction=observation.instruction,
            policy_version=policy.version,
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
