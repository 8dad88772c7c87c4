"""Writes the robot's contract to rosbags, raw, and takes part in lock-step so that nothing is missed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording.recording import Recording, Source
from vla_mbpo_ros.data.recording.snapshot import RawMessage
from vla_mbpo_ros.errors import BagError, VlaMbpoError
from vla_mbpo_ros.messages.header import stamp_of_cdr
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import ActionChunk, EpisodeStatus, SimState, TickDone
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.nodes.memory import keep_large_blocks
from vla_mbpo_ros.nodes.polling import Poller
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.recorder_facts import graph_facts, new_episode, promised_topics
from vla_mbpo_ros.nodes.recorder_sources import SourceSubscriptions
from vla_mbpo_ros.nodes.recorder_status import label_of, outcome_of, status_of
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.nodes.snapshots import Snapshots
from vla_mbpo_ros.robots.contract import image_topics
from vla_mbpo_ros.srv import DiscardEpisode, LabelEpisode, SaveSnapshot, StartEpisode, StopEpisode

STATUS_S = 1.0  # period of the status while recording
POLL_S = 0.04  # how often it is looked for messages; in lock-step they are waited for
TICK_S = 0.1  # how often an idle bag is flushed
# What must have arrived before a tick counts as recorded, beside the camera frames; all else is queued reliably.
TICK_TOPICS = ("joint_states", "robot/executed_command")
PRESSED = b"\x01"  # std_msgs/Bool behind the four bytes of its encapsulation


class RecorderNode(ManagedNode):
    SECTIONS = ("recorder", "cameras", "instruction")
    EXTRAS: ClassVar = {
        "without": ([""], "Topics of the contract that nobody publishes in this graph."),
        "unlatched": ([""], "Topics that are latched in the contract, but not by this graph's drivers."),
    }

    def __init__(self) -> None:
        super().__init__("recorder_node")

    def build(self) -> None:
        without, unlatched = (self.settings.extras[name] for name in ("without", "unlatched"))
        topics = promised_topics(self.robot, self.cfg, self.simulated, without, unlatched)
        sources = [Source(topic, self.resolve_topic_name(topic.name)) for topic in topics]
        self._graph_facts = replace(
            graph_facts(self.cfg, self.get_namespace(), self.simulated, sources, without), robot_id=self.robot_id
        )
        self._recording = Recording(sources, self.cfg.recorder)
        self._calls = Calls(self)
        self._snapshots = Snapshots(self._recording, self.cfg.recorder, self._calls)
        self._state: int = EpisodeStatus.IDLE
        self._sim: SimState | None = None  # the newest tick
        self._acknowledged_ns = 0
        self._stamps: dict[str, int] = {}  # topic of the contract -> newest stamp
        self._success_ns = 0
        self._policy_version, self._acted_ns = "", 0  # of the newest chunk, and when it came
        self._estop_pressed = False
        self._built_ns = time.time_ns()  # by the middleware's clock
        self._make_entities(sources)

    def stop(self) -> None:
        if self._recording.is_open:
            self.get_logger().warning(f"Stopped while recording; closing {self._recording.path}.")
            self._recording.end("unknown", note="The recorder was stopped.")
        if self.simulated:
            self._tick_done.publish(TickDone(node="recorder", leaving=True))
            self.until_received(self._tick_done)

    def dismantle(self) -> None:
        if hasattr(self, "_snapshots"):
            self._snapshots.close()

    def diagnose(self, status: diagnostics.Status) -> None:
        recording = self._recording
        if recording.failure:
            status.summary(diagnostics.ERROR, recording.failure)
        status.add("bag", recording.path or "none")
        status.add("in memory for a snapshot [s]", f"{self._snapshots.duration_s:.1f}")
        for source in recording.sources.values():
            if source.lost:
                status.add(f"{source.name} lost", str(source.lost))

    def _make_entities(self, sources: list[Source]) -> None:
        self._status_pub = self.pub(EpisodeStatus, "recorder/status", qos.LATCHED)
        if self.simulated:
            self._tick_done = self.pub(TickDone, "sim/tick_done", qos.EVENT)
            self.sub(SimState, "sim/state", self._on_sim_state, qos.EVENT)
        self.sub(ActionChunk, "policy/action_chunk", self._on_chunk, qos.EVENT)
        # In lock-step the simulator waits for our answer to each tick.
        self._poller = None if self.simulated else Poller(self)
        self._heard = SourceSubscriptions(self, sources, self._on_raw, self._poller)
        if self._poller:
            self.every(POLL_S, self._poller.poll)
        self.serve(StartEpisode, "recorder/start", self._on_start)
        self.serve(StopEpisode, "recorder/stop", self._on_stop)
        self.serve(DiscardEpisode, "recorder/discard", self._on_discard)
        self.serve(LabelEpisode, "recorder/label", self._on_label)
        self.serve(SaveSnapshot, "recorder/snapshot", self._on_snapshot)
        self.every(TICK_S, self._recording.tick)
        self.every(STATUS_S, self._publish_status)
        if not self.simulated:  # all publishers of a simulation are ours
            self.every(STATUS_S, self._fit_publishers)

    def _fit_publishers(self) -> None:
        if not self._recording.is_open:
            self._heard.fit()

    # -- messages ------------------------------------------------------------------------------------------------

    def _on_raw(self, source: Source, data: bytes, info: dict[str, int]) -> None:
        stamped = source.topic.hz > 0.0 or source.topic.name == "policy/action_chunk"
        # The middleware notes when a message came, by the wall clock; it may have waited to be looked for.
        now_ns = self._graph_ns() if self.simulated else info.get("received_timestamp") or self.now_ns()
        stamp_ns = stamp_of_cdr(data) if stamped else now_ns
        # In lock-step a message may overtake the clock that carries its stamp.
        log_ns = max(now_ns, stamp_ns) if self.simulated else now_ns
        sequence = int(info.get("publication_sequence_number") or 0)
        self._snapshots.add(RawMessage(source.name, data, log_ns, stamp_ns, sequence))
        if source.topic.name == "estop":
            self._see_estop(data[4:5] == PRESSED, int(info.get("source_timestamp") or 0))
        self._recording.add(source.name, data, log_ns, stamp_ns, sequence)
        if self.simulated:
            self._stamps[source.topic.name] = stamp_ns
            self._answer_tick()

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self._policy_version, self._acted_ns = chunk.policy_version, self._graph_ns()

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
        frames = (name for camera in self._sim.published for name in image_topics(camera, self.cfg.recorder.color))
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
        self._heard.note_offers()
        said = {"policy_version": request.policy_version}
        if request.instruction:
            said["instruction"] = request.instruction
        self._policy_version = ""  # whoever acted before has no part in this
        self._recording.begin(self._new_facts(**said), self._graph_ns())
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

    async def _on_stop(self, request: StopEpisode.Request, response: StopEpisode.Response) -> None:
        outcome, success_ns = outcome_of(request.outcome), self._seen_success_ns()
        if outcome == "success" and self._recording.is_open:
            success_ns = await self._go_past_success()
        success_s = (success_ns - self._recording.start_ns) * 1e-9 if success_ns else None
        counts = self._counts()
        said = (outcome, request.note, success_s, self._policy_version, request.truncated, request.if_unlabelled)
        path = self._end(lambda: self._recording.end(*said))
        response.success, response.message, response.bag_path = True, str(path), str(path)
        response.episode_id, response.status = self._recording.facts.episode_id, counts
        response.status.state, response.status.outcome = self._state, self._counts().outcome

    def _seen_success_ns(self) -> int:
        """When the simulator saw it; 0 if never. It may have been there before this bag began."""
        return max(self._success_ns, self._recording.start_ns) if self._success_ns else 0

    async def _go_past_success(self) -> int:
        """Record on for a while; when the success was. Whoever says so without a time before means now."""
        if self._state == EpisodeStatus.CLOSING:
            raise BagError("The bag is being closed already.", "Wait for that answer.")
        recording, after_s = self._recording, self.cfg.recorder.after_success_s
        noted_s = recording.facts.success_time_s
        noted_ns = self._graph_ns() if noted_s is None else recording.start_ns + round(noted_s * 1e9)
        success_ns = self._seen_success_ns() or noted_ns
        end_ns = success_ns + round(after_s * 1e9)
        self._state = EpisodeStatus.CLOSING
        # Should the graph's time stand still, it is not waited for.
        await self._calls.until(lambda: self._graph_ns() >= end_ns or not recording.is_open, 2.0 * after_s + 1.0)
        return success_ns

    def _on_discard(self, request: DiscardEpisode.Request, response: DiscardEpisode.Response) -> None:
        running = self._recording.facts.episode_id if self._recording.is_open else ""
        if request.episode_id not in ("", running):
            raise BagError(f"Episode {request.episode_id} is not being recorded.", "Delete its folder instead.")
        path = self._end(self._recording.discard)
        response.success, response.message = True, f"{path} is gone."

    def _on_label(self, request: LabelEpisode.Request, response: LabelEpisode.Response) -> None:
        said = label_of(request)
        path = self._recording.label(request.episode_id, said)
        response.success, response.message = True, f"{path}: {said.outcome}."

    def _end(self, close: Callable[[], Any]) -> Any:
        if self._poller:
            self._poller.poll()  # what has come belongs to this bag
        if self._recording.is_open:
            self._state = EpisodeStatus.FAILED
        try:
            path = close()
            self._state = EpisodeStatus.IDLE
        finally:
            self._publish_status()
        return path

    def _new_facts(self, **said: Any) -> EpisodeFacts:
        seed = int(self._sim.seed) if self._sim else None
        return replace(new_episode(self._graph_facts), seed=seed, **said)

    # -- snapshots -----------------------------------------------------------------------------------------------

    async def _on_snapshot(self, request: SaveSnapshot.Request, response: SaveSnapshot.Response) -> None:
        facts = await self._save(request.note or "asked for", outcome_of(request.outcome))
        response.success, response.episode_id = True, facts.episode_id
        response.bag_path = response.message = str(self._recording.folder / facts.episode_id)

    async def _save(self, why: str, outcome: str = "unknown") -> EpisodeFacts:
        taken = self._snapshots.take()
        self._heard.note_offers()
        note = f"Snapshot of the last {taken.duration_s:.1f} s: {why}"
        acted = self._graph_ns() - self._acted_ns <= taken.duration_s * 1e9
        facts = self._new_facts(note=note, policy_version=self._policy_version if acted else "")
        path = await self._snapshots.write(taken, facts, outcome)
        self.get_logger().info(f"{note}; {path}")
        return facts

    def _see_estop(self, pressed: bool, sent_ns: int) -> None:
        """Pressed now, not before this node was here: a snapshot, if there is one."""
        begins, self._estop_pressed = pressed and not self._estop_pressed, pressed
        wanted = self.cfg.recorder.snapshot_on_estop and self._snapshots.duration_s and not self._recording.is_open
        if begins and wanted and self.is_active and (not sent_ns or sent_ns >= self._built_ns):
            self.executor.create_task(self._save_at_estop())

    async def _save_at_estop(self) -> None:
        try:
            await self._save("emergency stop")
        except VlaMbpoError as error:
            self.complain(error)

    # -- status --------------------------------------------------------------------------------------------------

    def _publish_status(self) -> None:
        self._status_pub.publish(self._counts())

    def _counts(self) -> EpisodeStatus:
        return status_of(self._recording, self._state, self._graph_ns(), self._snapshots.duration_s)


def main() -> None:
    keep_large_blocks()
    run(RecorderNode)


if __name__ == "__main__":
    main()
