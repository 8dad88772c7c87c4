"""An episode judged: its bag against the robot's contract, its numbers, its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.bags import BagReport, check_topics
from vla_mbpo_ros.evaluation.contact_sheet import draw_contact_sheet
from vla_mbpo_ros.evaluation.episode import EpisodeRecord, read_episode

MB = 1e6


@dataclass(frozen=True)
class EpisodeReport:
    """What is said of one episode."""

    record: EpisodeRecord
    bag: BagReport
    picture: Path

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(f"{self.record.path.name}: {problem}" for problem in self.bag.problems)

    @property
    def lost(self) -> int:
        """Messages lost, by the publishers' own numbers."""
        return sum(topic.lost for topic in self.bag.topics if topic.expected_hz)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        record, facts = self.record, self.record.facts
        return {
            "episode_id": facts.episode_id,
            "seed": facts.seed,
            "instruction": facts.instruction,
            "policy_version": facts.policy_version,
            "outcome": facts.outcome,
            "success_time_s": facts.success_time_s,
            "duration_s": record.duration_s,
            "commands": len(record.sources),
            "held": int(record.held.sum()),
            "chunks": len(record.chunk_times_s),
            "largest_step": record.largest_step,
            "largest_seam_step": record.seam_step,
            "frames": dict(record.frames),
            "lost": self.lost,
            "mb": record.size_bytes / MB,
            "bag_ok": self.bag.ok,
            "bag": str(record.path),
            "picture": str(self.picture),
        }


def report_episode(bag: Path, folder: Path) -> EpisodeReport:
    """Read, check and draw the episode in `bag`; the picture goes to `folder`."""
    record = read_episode(bag)
    checked = check_topics(bag, record.facts.expected_topics(), record.facts.namespace, names=record.facts.names)
    picture = draw_contact_sheet(record, folder / f"{bag.name}.png")
    return EpisodeReport(record, checked, picture)


def summary_rows(reports: Sequence[EpisodeReport]) -> list[dict[str, str]]:
    """One row an episode, as people read it."""
    return [_row(report) for report in reports]


def _row(report: EpisodeReport) -> dict[str, str]:
    record, facts = report.record, report.record.facts
    success = "" if facts.success_time_s is None else f" at {facts.success_time_s:.1f} s"
    return {
        "seed": "" if facts.seed is None else str(facts.seed),
        "outcome": f"{facts.outcome}{success}",
        "length": f"{record.duration_s:.1f} s",
        "commands": f"{len(record.sources)} ({int(record.held.sum())} held)",
        "chunks": str(len(record.chunk_times_s)),
        "largest step": f"{1000 * record.largest_step:.0f} mrad",
        "at seams": f"{1000 * record.seam_step:.0f} mrad",
        "frames": str(sum(record.frames.values())),
        "lost": str(report.lost),
        "bag": f"{record.size_bytes / MB:.0f} MB, {'ok' if report.bag.ok else 'NOT ok'}",
    }
