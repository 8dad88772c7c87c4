"""The recorder's last seconds: remembered on the node's thread, written to a bag on one of their own."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from vla_mbpo_ros.config import RecorderConfig
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording.recording import MB, Recording
from vla_mbpo_ros.data.recording.snapshot import Memory, RawMessage, Taken, write_snapshot
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.nodes.calls import Calls

WRITE_S = 600.0  # longest wait for the disk


class Snapshots:
    """Of one recording's sources, while no bag is open."""

    def __init__(self, recording: Recording, cfg: RecorderConfig, calls: Calls) -> None:
        self._recording, self._cfg, self._calls = recording, cfg, calls
        latched = [source.name for source in recording.sources.values() if source.topic.kind == "latched"]
        self._memory = Memory(cfg.snapshot_s, int(cfg.snapshot_mb * MB), latched) if cfg.snapshot_s else None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot")
        self._writing: Future[Path] | None = None

    @property
    def duration_s(self) -> float:
        """How much could be kept now."""
        return self._memory.duration_s if self._memory else 0.0

    def add(self, message: RawMessage) -> None:
        if self._memory is not None:
            self._memory.add(message, keep=not self._recording.is_open)

    def take(self) -> Taken:
        """What is to be kept; BagError when there is nothing or it is not the time."""
        if self._recording.is_open:
            raise BagError(
                f"Episode {self._recording.facts.episode_id} is being recorded and has what a snapshot would have.",
                "Stop it with a note instead.",
            )
        if self._memory is None:
            raise BagError("Nothing is kept in memory: recorder.snapshot_s is 0.", "Start with so many seconds there.")
        if self._writing is not None and not self._writing.done():
            raise BagError("A snapshot is being written.", "Try again when it is.")
        taken = self._memory.take()
        if not taken.messages:
            raise BagError("There is nothing to keep: no message has come.", "Start what publishes, then try again.")
        return taken

    async def write(self, taken: Taken, facts: EpisodeFacts, outcome: str) -> Path:
        """The bag, once it is closed. BagError unless all of it is on the disk."""
        sources = list(self._recording.sources.values())
        writing = self._worker.submit(write_snapshot, taken, sources, self._cfg, facts, outcome)
        self._writing = writing
        if not await self._calls.until(writing.done, WRITE_S):
            raise BagError(f"The snapshot is not on the disk after {WRITE_S:.0f} s.", "See whether the disk is well.")
        return writing.result()

    def close(self) -> None:
        """What is being written is finished first."""
        self._worker.shutdown(wait=True)
