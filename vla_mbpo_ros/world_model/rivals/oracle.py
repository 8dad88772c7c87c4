"""The tabletop's own physics in a dream's place: an upper bound for evaluation, and branches without model error.

    with OracleWorld(horizon=10) as oracle:
        scenes = oracle.remember(pool.save())            # scenes that carry their snapshots
        dreams = oracle.imagine(scenes, commands, seeds)
        after = dreams.as_scenes(scenes)                 # snapshots again: several chunks are as easy as one

A picture does not say all that the future depends on, so only scenes that were remembered can be imagined from.
Nothing is random here: a snapshot has one future, whatever the seed. Each step counts as a step of the simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop.actions import to_action
from vla_mbpo_ros.sim.tabletop.vector import Ledger, Pool
from vla_mbpo_ros.sim.tabletop.world import Snapshot
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, StateSource, go_on


@dataclass(frozen=True)
class GroundedScenes(Scenes):
    """Scenes that know where they are in the simulator."""

    snapshots: tuple[Snapshot, ...]  # (B)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.snapshots) != len(self):
            raise ContractError(f"{len(self.snapshots)} snapshots for {len(self)} scenes.", "Give one each.")

    def select(self, rows: Sequence[int]) -> GroundedScenes:
        chosen = super().select(rows)
        snapshots = tuple(self.snapshots[row] for row in rows)
        return GroundedScenes(chosen.images, chosen.state, chosen.instructions, snapshots)


@dataclass(frozen=True)
class TrueDreams(Dreams):
    """What came of the chunks, and where the simulator was then."""

    snapshots: tuple[Snapshot, ...]  # (B)

    def as_scenes(self, before: Scenes) -> GroundedScenes:
        return GroundedScenes(self.images, self.state, before.instructions, self.snapshots)


class OracleWorld:
    """The tabletop's simulator as a world model. Close it, or use it as a context manager."""

    version = "oracle_sim-1"
    views = TABLETOP.camera_names

    def __init__(self, horizon: int, workers: int = 2, size: tuple[int, int] = (64, 64)) -> None:
        self.horizon, self.size = horizon, size
        self._pool = Pool(workers, width=size[1], height=size[0])  # of its own: its slots are no one else's

    def __enter__(self) -> OracleWorld:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the simulator's workers."""
        self._pool.close()

    @property
    def ledger(self) -> Ledger:
        """The simulator's steps that its dreams have cost."""
        return self._pool.ledger

    def remember(self, snapshots: Sequence[Snapshot]) -> GroundedScenes:
        """Scenes at these moments, as its cameras see them."""
        seen = self._pool.restore(snapshots)
        assert seen is not None  # it was asked for
        return GroundedScenes(seen.images, seen.state, seen.instructions, tuple(snapshots))

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> TrueDreams:
        """`chunks` (B, K, 7) in the robot's units. An episode that is over goes on: things still move."""
        pause()
        self._pool.restore(_snapshots(scenes), observe=False)
        result = self._pool.step_chunk(to_action(chunks))
        return TrueDreams(
            images=result.observations.images,
            success=result.success.astype(np.float64),
            state=result.observations.state,
            source=StateSource.SIMULATED,
            snapshots=self._pool.save(),
        )

    def judge(self, scenes: Scenes) -> FloatArray:
        """1 where the task has been done in time, also if it was some chunks ago; else 0."""
        self._pool.restore(_snapshots(scenes), observe=False)
        return (self._pool.success_step >= 0).astype(np.float64)


def _snapshots(scenes: Scenes) -> tuple[Snapshot, ...]:
    if not isinstance(scenes, GroundedScenes):
        raise ContractError(
            "These scenes have no snapshot of the simulator.",
            "Make them by OracleWorld.remember; from pictures alone only a learnt model imagines.",
        )
    return scenes.snapshots
