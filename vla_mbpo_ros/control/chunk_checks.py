"""What a chunk must be before it may be used. Each refusal names the cause and the cure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_mbpo_ros.errors import ContractError, NotFinite, StaleError
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk, FloatArray

_NS = 1e9


def checked(chunk: ActionChunk, robot: RobotSpec) -> ActionChunk:
    """The chunk with a copy of its values, so that nobody can change them later."""
    if chunk.chunk_id <= 0:
        raise ContractError(f"A chunk has the id {chunk.chunk_id}.", "Number chunks from 1; 0 means 'no chunk'.")
    if chunk.dt_ns <= 0:
        raise ContractError(
            f"Chunk {chunk.chunk_id} has dt_ns = {chunk.dt_ns}.", "Give the time between two of its steps, above 0."
        )
    values = _array(chunk)
    _check_shape(chunk.chunk_id, values, robot)
    _check_finite(chunk.chunk_id, values, robot)
    return replace(chunk, values=values)


def check_age(chunk: ActionChunk, now_ns: int, max_age_s: float) -> None:
    age_s = (now_ns - chunk.observed_ns) / _NS
    if age_s > max_age_s:
        raise StaleError(
            f"Chunk {chunk.chunk_id} was observed {age_s:.3f} s ago; at most {max_age_s:g} s is allowed.",
            "Make the policy faster, or raise executor.max_chunk_age_s.",
        )
    if age_s < -max_age_s:
        raise StaleError(
            f"Chunk {chunk.chunk_id} was observed {-age_s:.3f} s in the future.",
            "Let the policy and the executor use the same clock (use_sim_time on both or on neither).",
        )


def check_reach(chunk: ActionChunk, now_ns: int, latency_ns: int) -> None:
    """Something of the chunk must be left when it may first be used."""
    first_ns = max(now_ns, chunk.observed_ns + latency_ns)
    if chunk.end_ns <= first_ns:
        covers, usable = (chunk.horizon * chunk.dt_ns / _NS, (first_ns - chunk.observed_ns) / _NS)
        raise StaleError(
            f"Chunk {chunk.chunk_id} covers {covers:.3f} s after its observation"
            f" but is usable only after {usable:.3f} s.",
            "Propose more steps (policy.horizon), or shorten the latency.",
        )


def check_episode(chunk: ActionChunk, since_ns: int | None) -> None:
    if since_ns is not None and chunk.observed_ns < since_ns:
        raise StaleError(
            f"Chunk {chunk.chunk_id} was observed before the episode began.", "Nothing to do: it came too late."
        )


def check_newer(chunk: ActionChunk, newest: ActionChunk | None) -> None:
    if newest is None or chunk.observed_ns >= newest.observed_ns:
        return
    older_s = (newest.observed_ns - chunk.observed_ns) / _NS
    raise StaleError(
        f"Chunk {chunk.chunk_id} was observed {older_s:.3f} s before chunk {newest.chunk_id}, which came first.",
        "Run one policy only, and publish its chunks in the order of their observations.",
    )


def _array(chunk: ActionChunk) -> FloatArray:
    try:
        return np.array(chunk.values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"Chunk {chunk.chunk_id} does not hold numbers: {error}.", "Send a (steps, joints) array of floats."
        ) from error


def _check_shape(chunk_id: int, values: FloatArray, robot: RobotSpec) -> None:
    if values.ndim != 2 or values.shape[0] == 0:
        raise ContractError(
            f"Chunk {chunk_id} has the shape {values.shape}.", f"Send at least one step: (steps, {robot.dof})."
        )
    if values.shape[1] != robot.dof:
        raise ContractError(
            f"Chunk {chunk_id} has {values.shape[1]} columns, {robot.name} has {robot.dof} joints.",
            f"Send one column for each of {', '.join(robot.names)}; is the policy made for another robot?",
        )


def _check_finite(chunk_id: int, values: FloatArray, robot: RobotSpec) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        step, joint = (int(index) for index in bad[0])
        raise NotFinite(
            f"Chunk {chunk_id} has {values[step, joint]} for {robot.names[joint]} at step {step}"
            f" ({len(bad)} of {values.size} values are not finite).",
            "Check the policy's output and its normalisation statistics.",
        )
