"""What a person says of an episode afterwards. Only the facts change, never a message."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.data.bags.bag import Bag
from vla_mbpo_ros.data.bags.foreign import open_bag
from vla_mbpo_ros.data.bags.metadata import FILE_NAME, update_custom_data
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError, ConfigError, UnknownName


@dataclass(frozen=True)
class Label:
    """What is said; None leaves a fact as it is."""

    outcome: str
    note: str | None = None
    success_time_s: float | None = None  # since the start of the bag
    instruction: str | None = None

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise UnknownName("outcome", self.outcome, OUTCOMES)
        if self.success_time_s is not None and self.outcome != "success":
            cause = f"A time of success does not go with '{self.outcome}'."
            raise ConfigError(cause, "Leave it out, or say success.")


def label(path: Path, said: Label) -> tuple[EpisodeFacts, EpisodeFacts]:
    """Change the facts of the closed bag at `path`; what they were and what they are."""
    bag = open_bag(path)
    if not path.is_dir() or not (path / FILE_NAME).exists():
        raise BagError(f"{path} was not closed, it has no {FILE_NAME}.", "Run `vla-mbpo bags recover` on it first.")
    _check_time(said, bag)
    before = EpisodeFacts.from_custom_data(bag.custom_data, str(path))
    after = labelled(before, said)
    written, whole = before.to_custom_data(), after.to_custom_data()
    changes = {name: text for name, text in whole.items() if text != written[name] or name == "outcome"}
    update_custom_data(path, changes)
    return before, after


def labelled(facts: EpisodeFacts, said: Label) -> EpisodeFacts:
    """A time of success, said before, stays with a success and goes with anything else; time never ran out for one."""
    kept_s = facts.success_time_s if said.outcome == "success" else None
    return replace(
        facts,
        outcome=said.outcome,
        truncated=facts.truncated and said.outcome != "success",
        note=facts.note if said.note is None else said.note,
        success_time_s=kept_s if said.success_time_s is None else said.success_time_s,
        instruction=facts.instruction if said.instruction is None else said.instruction,
    )


def _check_time(said: Label, bag: Bag) -> None:
    length_s = (bag.end_ns - bag.start_ns) * 1e-9
    at_s = said.success_time_s
    if at_s is not None and not (math.isfinite(at_s) and 0.0 <= at_s <= length_s):
        cause = f"{at_s:g} s is not in {bag.path}, which is {length_s:.2f} s long."
        raise ConfigError(cause, "Give seconds since the start of the bag.")
