"""What is said of an episode, for a piece of it; and what an imported one says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.formats.columns import Mapped
from vla_mbpo_ros.data.formats.cut import BEFORE, Piece
from vla_mbpo_ros.errors import ContractError, VlaMbpoError

# Facts of the recording, not of the episode: the new bag has its own.
_OF_THE_BAG = ("received", "lost", "without", "names", "namespace", "color", "camera_hz", "control_hz", "interventions")


def facts_of(piece: Piece) -> EpisodeFacts:
    """Time of success counts from the first row. An outcome belongs to the piece in which it came."""
    facts, episode = piece.episode.facts, piece.episode
    last = piece.number == piece.count - 1
    solved = piece.success_row is not None and piece.success_row != BEFORE
    outcome = facts.outcome if solved or (last and facts.outcome != "success") else "unknown"
    success_s = None
    if solved and episode.success_ns is not None:
        success_s = (episode.success_ns - int(piece.times_ns[0])) * 1e-9
    note = facts.note
    if piece.count > 1:
        note = f"{note} Piece {piece.number + 1} of {piece.count}, rows {piece.rows[0]} to {piece.rows[-1]}.".strip()
    fresh = {name: getattr(EpisodeFacts(), name) for name in _OF_THE_BAG}
    return replace(facts, **fresh, outcome=outcome, success_time_s=success_s, note=note)


def read_facts(text: str, where: str) -> EpisodeFacts | None:
    """What `facts_of` said, from our own field of a foreign format; None if there is none."""
    if not text:
        return None
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise ContractError(f"The facts of {where} are not JSON: {error}.", "Leave it out.") from error
    if not isinstance(data, Mapping):
        raise ContractError(f"The facts of {where} are no table of names.", "Leave it out.")
    try:
        facts = EpisodeFacts.from_custom_data({str(name): str(value) for name, value in data.items()}, where)
    except VlaMbpoError:
        raise
    except (TypeError, ValueError) as error:
        raise ContractError(f"The facts of {where} cannot be used: {error}.", "Leave it out.") from error
    return facts


def imported(
    said: EpisodeFacts | None, mapped: Mapped, instruction: str, solved: bool | None, origin: str
) -> EpisodeFacts:
    """Of an episode that came from elsewhere. `solved`: None if nobody says."""
    facts = said or EpisodeFacts(outcome={True: "success", False: "failure", None: "unknown"}[solved])
    own = not mapped.known
    return replace(
        facts,
        robot=mapped.robot,
        robot_id=facts.robot_id or mapped.robot_id,
        instruction=instruction,
        state_names=list(mapped.state.names) if own else [],
        action_names=list(mapped.action.names) if own else [],
        origin=origin,
    )
