"""Writes the robot's contract to rosbags, raw, and takes part in lock-step so that nothing is missed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, ClassVar

from vla_mbpo_ros import __version__
from vla_mbpo_ros.data.bags import Qos
from vla_mbpo_ros.data.bags.report import full_name
from vla_mbpo_ros.data.facts import OUTCOMES, EpisodeFacts
from vla_mbpo_ros.data.recording import Recording, Source
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.messages.header import stamp_of_cdr
from vla_mbpo_ros.messages.stamps import fill_stamp, to_ns
from vla_mbpo_ros.messages.types import message_class
from vla_mbpo_ros.msg import ActionChunk, EpisodeStatus, SimState, TickDone
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.robots.contract import Topic, robot_topics
from vla_mbpo_ros.srv import DiscardEpisode, LabelEpisode, StartEpisode, StopEpisode

STATUS_S = 1.0  # period of the status while recording
TICK_S = 0.1  # how often an idle bag is flushed
# What must have arrived before a tick counts as recorded, beside the camera frames; all else is queued reliably.
TICK_TOPICS = ("joint_states", "robot/executed_command")


class RecorderNode(ManagedNode):
    SECTIONS = ("recorder", "cameras", "instruction")
    EXTRAS: ClassVar = {
        "without": ([""], "Topics of the contract that nobody publishes in this graph."),
        "unlatched": ([""], "Topics that are latched in the contract, but not by this graph's drivers."),
    }

    def __init__(self) -> None:
        super().__init__("recorder_node")

    def build(self) -> None:
        sources = [Source(topic, self.resolve_topic_name(topic.name)) for topic in self._contract()]
        self._recording = Recording(sources, self.cfg.recorder)
        self._calls = Calls(self)
        self._state: int = EpisodeStatus.IDLE
        self._sim: SimState | None = None  # the newest tick
        self._acknowledged_ns = 0
        self._stamps: dict[str, int] = {}  # topic of the contract -> newest stamp
        self._success_ns = 0
        self._policy_version = ""
        self._make_entities(sources)

    def stop(self) -> None:
        if self._recording.is_open:
            self.get_logger().warning(f"Stopped while recording; closing {self._recording.path}.")
            self._recording.end("unknown", note="The recorder was stopped.")
        if self.simulated:
            self._tick_done.publish(TickDone(node="recorder", leaving=True))
            self.until_received(self._tick_done)

    def diagnose(self, status: diagnostics.Status) -> None:
        recording = self._recording
        if recording.failure:
            status.summary(diagnostics.ERROR, recording.failure)
        status.add("bag", recording.path or "none")
        for source in recording.sources.values():
            if source.lost:
                status.add(f"{source.name} lost", str(source.lost))

    def _contract(self) -> list[Topic]:
        """What this graph promises."""
        rates = {name: camera.hz for name, camera in self.cfg.cameras.items()}
        topics = robot_topics(self.robot, self.cfg.control_hz, rates)
        without, unlatched = (set(self.settings.extras[name]) for name in ("without", "unlatched"))
        return [
            replace(topic, kind="event") if topic.name in unlatched else topic
            for topic in topics
            if topic.name not in without and (self.simulated or not topic.sim_only)
        ]

    def _make_entities(self, sources: list[Source]) -> None:
        self._status_pub = self.pub(EpisodeStatus, "recorder/status", qos.LATCHED)
        if self.simulated:
            self._tick_done = self.pub(TickDone, "sim/tick_done", qos.EVENT)
            self.sub(SimState, "sim/state", self._on_sim_state, qos.EVENT)
        self.sub(ActionChunk, "policy/action_chunk", self._on_chunk, qos.EVENT)
        for source in sources:
            self._subscribe(source)
        self.serve(StartEpisode, "recorder/start", self._on_start)
        self.serve(StopEpisode, "recorder/stop", self._on_stop)
        self.serve(DiscardEpisode, "recorder/discard", self._on_discard)
        self.serve(LabelEpisode, "recorder/label", self._on_label)
        self.every(TICK_S, self._recording.tick)
        self.every(STATUS_S, self._publish_status)

    def _subscribe(self, source: Source) -> None:
        profile = qos.RECORDED_IMAGE if source.topic.kind == "image" else qos.BY_KIND[source.topic.kind]
        if source.topic.kind == "command":
            profile = qos.STATE  # every command counts here
        stamped = source.topic.hz > 0.0 or source.topic.name == "policy/action_chunk"
        self.sub_raw(message_class(source.topic.type), source.name, partial(self._on_raw, source, stamped), profile)

    # -- messages ------------------------------------------------------------------------------------------------

    def _on_raw(self, source: Source, stamped: bool, data: bytes, info: dict[str, int]) -> None:
        now_ns = self._graph_ns()
        stamp_ns = stamp_of_cdr(data) if stamped else now_ns
        # In lock-step a message may overtake the clock that carries its stamp.
        log_ns = max(now_ns, stamp_ns) if self.simulated else now_ns
        sequence = int(info.get("publication_sequence_number") or 0)
        self._recording.add(source.name, data, log_ns, stamp_ns, sequence)
        if self.simulated:
            self._stamps[source.topic.name] = stamp_ns
            self._answer_tick()

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self._policy_version = chunk.policy_version

    def _graph_ns(self) -> int:
        return to_ns(self._sim.header.stamp) if self._sim else self.now_ns()

    # -- lock-step -----------------------------------------------------------------------------------------------

    def _on_sim_state(self, state: SimState) -> None:
        if state.success and not self._success_ns:
            self._success_ns = to_ns(state.header.stamp)
        if not state.success:
            self._success_ns = 0
        self._sim = state
        self._answer_tick()

    def _answer_tick(self) -> None:
        """Say that this tick is done once everything that belongs to it is here."""
        if self._sim is None or not self.is_active or to_ns(self._sim.header.stamp) == self._acknowledged_ns:
            return
        tick_ns = to_ns(self._sim.header.stamp)
        frames = [f"{camera}/color/image_raw" for camera in self._sim.published]
        if all(self._stamps.get(name, 0) >= tick_ns for name in (*frames, *TICK_TOPICS)):
            self._acknowledged_ns = tick_ns
            self._tick_done.publish(TickDone(stamp=self._sim.header.stamp, node="recorder"))

    # -- episodes ------------------------------------------------------------------------------------------------

    async def _on_start(self, request: StartEpisode.Request, response: StartEpisode.Response) -> None:
        if self._recording.is_open:
            raise BagError("An episode is being recorded.", "Stop or discard it first.")
        if self._state == EpisodeStatus.WAITING:
            raise BagError("A bag is about to start: its sources are waited for.", "Wait for that answer first.")
        await self._gate(request.timeout_s or self.cfg.recorder.gate_timeout_s)
        for source in self._recording.sources.values():
            publishers = self.get_publishers_info_by_topic(source.name)
            source.offered = tuple(Qos.of(info.qos_profile) for info in publishers)
        self._recording.begin(self._facts(request), self._graph_ns())
        self._state = EpisodeStatus.RECORDING
        response.success, response.episode_id = True, self._recording.facts.episode_id
        response.bag_path = response.message = self._recording.path
        self._publish_status()

    async def _gate(self, timeout_s: float) -> None:
        """Wait until every source is fresh."""
        self._state = EpisodeStatus.WAITING
        self._publish_status()
        try:
            fresh = await self._calls.until(lambda: not self._recording.stale(self._graph_ns()), timeout_s)
        finally:
            self._state = EpisodeStatus.IDLE
        if not fresh:
            stale = ", ".join(self._recording.stale(self._graph_ns()))
            raise BagError(f"Not recording: nothing fresh from {stale}.", "Start what publishes it, then try again.")

    def _on_stop(self, request: StopEpisode.Request, response: StopEpisode.Response) -> None:
        success_s = (self._success_ns - self._recording.start_ns) * 1e-9 if self._success_ns else None
        counts = self._counts()
        outcome = _outcome(request.outcome)
        path = self._end(lambda: self._recording.end(outcome, request.note, success_s, self._policy_version))
        response.success, response.message, response.bag_path = True, str(path), str(path)
        response.episode_id, response.status = self._recording.facts.episode_id, counts
        response.status.state, response.status.outcome = self._state, request.outcome

    def _on_discard(self, request: DiscardEpisode.Request, response: DiscardEpisode.Response) -> None:
        running = self._recording.facts.episode_id if self._recording.is_open else ""
        if request.episode_id not in ("", running):
            raise BagError(f"Episode {request.episode_id} is not being recorded.", "Delete its folder instead.")
        path = self._end(self._recording.discard)
        response.success, response.message = True, f"{path} is gone."

    def _on_label(self, request: LabelEpisode.Request, response: LabelEpisode.Response) -> None:
        said: dict[str, Any] = {"outcome": _outcome(request.outcome)}
        if request.note:
            said["note"] = request.note
        if request.success_time_s > 0.0 or said["outcome"] != "success":
            said["success_time_s"] = request.success_time_s if said["outcome"] == "success" else None
        path = self._recording.label(request.episode_id, **said)
        response.success, response.message = True, f"{path}: {said['outcome']}."

    def _end(self, close: Callable[[], Any]) -> Any:
        self._state = EpisodeStatus.FAILED
        try:
            path = close()
            self._state = EpisodeStatus.IDLE
        finally:
            self._publish_status()
        return path

    def _facts(self, request: StartEpisode.Request) -> EpisodeFacts:
        now = datetime.now(timezone.utc).astimezone()
        names = {source.topic.name: source.name for source in self._recording.sources.values()}
        return EpisodeFacts(
            episode_id=f"{self.cfg.robot}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            robot=self.cfg.robot,
            robot_id=self.robot_id,
            namespace=self.get_namespace().strip("/"),
            instruction=request.instruction or self.cfg.instruction,
            policy_version=request.policy_version,
            seed=int(self._sim.seed) if self._sim else None,
            simulated=self.simulated,
            control_hz=self.cfg.control_hz,
            camera_hz={name: camera.hz for name, camera in self.cfg.cameras.items()},
            names={ours: theirs for ours, theirs in names.items() if theirs != full_name(ours, self.get_namespace())},
            without=[name for name in self.settings.extras["without"] if name],
            recorded_at=now.isoformat(timespec="seconds"),
            software=__version__,
        )

    # -- status --------------------------------------------------------------------------------------------------

    def _publish_status(self) -> None:
        self._status_pub.publish(self._counts())

    def _counts(self) -> EpisodeStatus:
        recording, sources = self._recording, list(self._recording.sources.values())
        failed = bool(recording.failure) and not recording.is_open
        status = EpisodeStatus(state=EpisodeStatus.FAILED if failed else self._state, message=recording.failure)
        fill_stamp(status.header.stamp, self._graph_ns())
        status.episode_id, status.instruction = recording.facts.episode_id, recording.facts.instruction
        status.bag_path, status.duration_s = recording.path, recording.duration_s
        written = recording.written()
        status.topics = [source.name for source in sources]
        status.received = [source.received for source in sources]
        status.written = [written.get(source.name, 0) for source in sources]
        status.lost = [source.lost for source in sources]
        status.bytes_written, status.disk_free_bytes = recording.bytes_written, recording.free_bytes()
        return status


def _outcome(number: int) -> str:
    if number >= len(OUTCOMES):
        raise BagError(f"{number} is no outcome.", f"Say 0 to {len(OUTCOMES) - 1}: {', '.join(OUTCOMES)}.")
    return OUTCOMES[number]


def main() -> None:
    run(RecorderNode)


if __name__ == "__main__":
    main()
