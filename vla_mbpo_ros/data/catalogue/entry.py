"""One line of the episode index: what is known of a bag without opening it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.bags.bag import Bag
from vla_mbpo_ros.data.bags.find import SUFFIXES, BagPlace, Signature
from vla_mbpo_ros.data.bags.foreign import open_bag
from vla_mbpo_ros.data.bags.report import full_name
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import VlaMbpoError

_EPOCH_NS = 10**18  # bags that start later are on wall time: 2001 and after
_STEPS = ("robot/executed_command", "joint_states")  # one a control tick; the first that the bag has


@dataclass(frozen=True)
class Entry:
    """One bag. What is not known is empty."""

    path: str  # relative to the folder of the index; "" if that is the bag itself
    id: str  # as the bag says; else the name of its folder
    signature: Signature = ()
    says_id: bool = False
    robot: str = ""
    instruction: str = ""
    outcome: str = "unknown"
    policy: str = ""
    length_s: float = 0.0
    steps: int = 0  # control ticks
    success_time_s: float | None = None  # since the start of the bag
    size_bytes: int = 0
    messages: int = 0
    lost: int = 0  # messages, as the recorder declared
    recorded_at: str = ""  # ISO 8601 with zone
    software: str = ""  # version of this package
    simulated: bool = False
    interventions: int = 0
    origin: str = ""  # of an imported episode
    complete: bool = False  # it was closed
    problem: str = ""  # why it cannot be used as it is

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, without what only the index needs."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name not in ("signature", "says_id")}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Entry:
        """What `row` once was; KeyError, TypeError or ValueError if it is no such thing."""
        kinds = {item.name: type(getattr(_BLANK, item.name)) for item in fields(cls)}
        values = {name: row[name] for name in kinds}
        values["signature"] = tuple((str(name), int(size), int(time)) for name, size, time in row["signature"])
        for name, kind in kinds.items():
            if name != "success_time_s" and not isinstance(values[name], (int, float) if kind is float else kind):
                raise TypeError(f"{name} is {values[name]!r}")
        return cls(**values)


_BLANK = Entry("", "")


def read_entry(folder: Path, place: BagPlace) -> Entry:
    """Of one bag. Never fails: what cannot be read is an entry with its problem."""
    path = folder / place.path if place.path else folder
    name = Path(place.path).stem if place.path.endswith(SUFFIXES) else path.resolve().name
    blank = Entry(place.path, name, place.signature, size_bytes=sum(max(size, 0) for _, size, _ in place.signature))
    try:
        bag = open_bag(path)
    except VlaMbpoError as error:
        return _with(blank, problem=str(error))
    except Exception as error:  # a damaged file may fail in any way of the decoders; the next bag must be listed
        return _with(blank, problem=f"{path} cannot be read: {type(error).__name__}: {error}.")
    problem = "" if bag.complete else "It was not closed: run `vla-mbpo bags recover`."
    seen = _with(blank, complete=bag.complete, problem=problem)
    try:
        facts = EpisodeFacts.from_custom_data(bag.custom_data, str(path))
        return _with(_seen_in(seen, bag, facts), **_said(facts, name))
    except VlaMbpoError as error:
        problem = str(error)
    except Exception as error:  # of foreign custom data, as above
        problem = f"What {path} says of its episode cannot be understood: {type(error).__name__}: {error}."
    return _with(_seen_in(seen, bag, EpisodeFacts()), problem=problem)


def _seen_in(entry: Entry, bag: Bag, facts: EpisodeFacts) -> Entry:
    """What the bag itself shows."""
    counts = {name: info.count for name, info in bag.topics.items()}
    names = [full_name(facts.names.get(name, name), facts.namespace) for name in _STEPS]
    start_ns = bag.start_ns
    recorded = datetime.fromtimestamp(start_ns * 1e-9, timezone.utc) if start_ns > _EPOCH_NS else None
    return _with(
        entry,
        length_s=max(bag.end_ns - start_ns, 0) * 1e-9,
        steps=next((counts[name] for name in names if counts.get(name)), 0),
        messages=sum(counts.values()),
        recorded_at=recorded.isoformat(timespec="seconds") if recorded else "",
    )


def _said(facts: EpisodeFacts, name: str) -> dict[str, Any]:
    """What the recorder or a person said."""
    said = {
        "id": facts.episode_id or name,
        "says_id": bool(facts.episode_id),
        "robot": facts.robot,
        "instruction": facts.instruction,
        "outcome": facts.outcome,
        "policy": facts.policy_version,
        "success_time_s": facts.success_time_s,
        "lost": sum(int(count) for count in facts.lost.values()),
        "software": facts.software,
        "simulated": facts.simulated,
        "interventions": len(facts.interventions),
        "origin": facts.origin,
    }
    return {**said, "recorded_at": facts.recorded_at} if facts.recorded_at else said


def _with(entry: Entry, **changes: Any) -> Entry:
    return Entry(**{**vars(entry), **changes})
