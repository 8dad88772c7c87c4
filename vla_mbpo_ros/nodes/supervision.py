"""Which lifecycle transition is due next? Plain logic of supervisor_node, without ROS.

heartbeat with a new pid ──> the process was started again; it is brought back to where it was
silent for too long      ──> dead; nothing after it in the order is started
a person deactivates it  ──> it was active, is inactive, same pid: left alone, that is now where it was
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

UNCONFIGURED, INACTIVE, ACTIVE = 1, 2, 3  # ids of lifecycle_msgs/State
SETTLE_S = 1.5  # a heartbeat may be that much older than the answer to a transition
RETRY_S = (1.0, 2.0, 4.0, 8.0)  # pause after the first, second, … failed transition


@dataclass
class Member:
    """One supervised node."""

    name: str
    state: int = 0
    wanted: int = ACTIVE
    pid: int = 0
    heard_s: float = float("-inf")  # steady time of the last heartbeat
    detail: str = ""
    starts: int = 0
    failures: int = 0
    not_before_s: float = float("-inf")
    changed_s: float = float("-inf")  # when the last transition was answered
    changing: bool = False  # a transition was asked for and not yet answered

    def problem(self, now_s: float, timeout_s: float) -> str:
        """Why it is not where it should be; empty if it is."""
        if self.heard_s == float("-inf"):
            return f"{self.name} has not been heard yet."
        if now_s - self.heard_s > timeout_s:
            return f"{self.name} (pid {self.pid}) has been silent for {now_s - self.heard_s:.1f} s."
        if self.state != self.wanted:
            return f"{self.name} is not {'active' if self.wanted == ACTIVE else 'inactive'} yet. {self.detail}".strip()
        return ""


@dataclass(frozen=True)
class Step:
    """Ask `node` for a lifecycle transition."""

    node: str
    transition: str  # "configure" or "activate"


class Roster:
    """All supervised nodes, in start-up order."""

    def __init__(self, names: Sequence[str], timeout_s: float) -> None:
        self.members = {name: Member(name) for name in names}
        self._timeout_s = timeout_s

    def heard(self, name: str, pid: int, state: int, detail: str, now_s: float) -> bool:
        """A heartbeat. True if it tells that the process was started again."""
        member = self.members.get(name)
        if member is None:
            return False
        reborn = member.pid not in (0, pid)
        if member.pid != pid:
            member.pid, member.starts, member.failures, member.changing = pid, member.starts + 1, 0, False
            member.not_before_s = float("-inf")
        elif member.changing or now_s - member.changed_s < SETTLE_S:
            member.detail, member.heard_s = detail, now_s  # its state may be that before our own transition
            return reborn
        elif member.state == ACTIVE and state == INACTIVE:
            member.wanted = INACTIVE
        elif state == ACTIVE:
            member.wanted = ACTIVE
        member.state, member.detail, member.heard_s = state, detail, now_s
        return reborn

    def next_step(self, now_s: float) -> Step | None:
        """The transition that is due, or None. A node waits for all before it."""
        for member in self.members.values():
            if not member.problem(now_s, self._timeout_s):
                continue
            if self._may_change(member, now_s):
                return Step(member.name, "configure" if member.state == UNCONFIGURED else "activate")
            return None
        return None

    def asked(self, step: Step) -> None:
        self.members[step.node].changing = True

    def answered(self, step: Step, success: bool, now_s: float) -> None:
        """The outcome of a transition; after a failure the next try waits a little longer each time."""
        member = self.members[step.node]
        member.changing, member.changed_s = False, now_s
        if success:  # the next heartbeat would say so too, but later
            member.state = INACTIVE if step.transition == "configure" else ACTIVE
            member.failures = 0
            return
        pause = RETRY_S[min(member.failures, len(RETRY_S) - 1)]
        member.failures, member.not_before_s = member.failures + 1, now_s + pause

    def problems(self, now_s: float) -> list[str]:
        found = (member.problem(now_s, self._timeout_s) for member in self.members.values())
        return [text for text in found if text]

    def silent(self, now_s: float) -> list[str]:
        """Nodes that were alive and are not heard any more."""
        return [
            member.name for member in self.members.values() if member.pid and now_s - member.heard_s > self._timeout_s
        ]

    def _may_change(self, member: Member, now_s: float) -> bool:
        alive = now_s - member.heard_s <= self._timeout_s
        waiting = member.changing or now_s < member.not_before_s
        return alive and not waiting and member.state in (UNCONFIGURED, INACTIVE)
