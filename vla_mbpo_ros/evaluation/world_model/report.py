"""All numbers of one model, as they go into JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.lpips import Lpips
from vla_mbpo_ros.evaluation.world_model.agreement import model_agreement, scale
from vla_mbpo_ros.evaluation.world_model.counterfactual import right_pairs
from vla_mbpo_ros.evaluation.world_model.dreaming import Rolled, one_chunk, roll, scenes_at, shuffled
from vla_mbpo_ros.evaluation.world_model.fidelity import fidelity
from vla_mbpo_ros.evaluation.world_model.held_out import HeldOut
from vla_mbpo_ros.evaluation.world_model.judging import dream_verdict, ends, truth_verdict
from vla_mbpo_ros.evaluation.world_model.places import Finder, places
from vla_mbpo_ros.evaluation.world_model.relative import Readers
from vla_mbpo_ros.evaluation.world_model.slices import slices
from vla_mbpo_ros.world_model.protocol import WorldModel

_TIMED = 5  # chunks, one at a time
Said = Callable[[str], None]


@dataclass
class Examiner:
    """Asks one model after the other; what is known of the truth is worked out once."""

    held: HeldOut
    lpips: Lpips | None = None
    seed: int = 0
    say: Said = lambda text: None
    finder: Finder = field(default_factory=Finder)
    _readers: dict[float, Readers] = field(default_factory=dict)

    def examine(self, model: WorldModel) -> tuple[dict[str, Any], Rolled]:
        """Numbers, and the windows that were dreamt, to be drawn."""
        held = self.held
        self.say(f"{held.size.chunks} chunks one after the other")
        rolled = roll(model, held.journeys, held.windows, self.seed)
        told: dict[str, Any] = {
            "version": model.version,
            "chunk_s": seconds(model, held),
            "chunk_in_batch_s": rolled.chunk_s,
            "windows": len(held.windows),
            "rolled": {
                "fidelity": fidelity(rolled, self.lpips).to_json(),
                "places": places(rolled, self.finder),
                "judged": self._judged(rolled),
            },
        }
        self.say("the same with the chunks of other episodes")
        swapped = shuffled(held.journeys, held.windows, self.seed)
        other = roll(model, held.journeys, held.windows, self.seed, swapped)
        told["shuffled"] = {"fidelity": fidelity(other).to_json()}
        self.say("single chunks")
        told["one_chunk"] = self._one_chunk(model)
        self.say("ends of episodes")
        told["ends"] = ends(model, held.journeys, self.seed)
        self.say("opposite chunks")
        told["counterfactual"] = right_pairs(model, held.forks, self.seed)
        self.say("both views of one dream")
        told["agreement"] = self._agreement(model)
        return told, rolled

    def truth(self) -> dict[str, Any]:
        """What is true of the held-out episodes, whatever the model."""
        held = self.held
        return {
            "episodes": len(held.journeys.tasks),
            "windows": len(held.windows),
            "successes": int(held.journeys.success[held.journeys.start[held.journeys.live] + 1].sum()),
            "chunks": int(held.journeys.live.sum()),
            "agreement_scale": {
                f"slip {weather.slip:g}": scale(weather, self._readers_of(index), self.finder)
                for index, weather in enumerate(held.weather)
                if weather.slip > 0.0
            },
        }

    def _judged(self, rolled: Rolled) -> dict[str, Any]:
        chunks = [dream_verdict(rolled, chunk) for chunk in range(rolled.chunks)]
        return {"dreams": dream_verdict(rolled), "by_chunk": chunks}

    def _one_chunk(self, model: WorldModel) -> dict[str, Any]:
        held = self.held
        rolled = one_chunk(model, held.journeys, held.single, self.seed)
        found = fidelity(rolled, self.lpips)
        every = np.flatnonzero(held.journeys.live)
        return {
            "fidelity": found.to_json(),
            "places": places(rolled, self.finder),
            "slices": slices(rolled, found, held.journeys, self.finder),
            "judged": {"truth": truth_verdict(model, held.journeys, every), "dreams": dream_verdict(rolled)},
        }

    def _agreement(self, model: WorldModel) -> dict[str, Any]:
        return {
            f"slip {weather.slip:g}": model_agreement(model, weather, self._readers_of(index), self.finder, self.seed)
            for index, weather in enumerate(self.held.weather)
        }

    def _readers_of(self, index: int) -> Readers:
        if index not in self._readers:
            self._readers[index] = self.held.weather[index].readers(self.finder)
        return self._readers[index]


def seconds(model: WorldModel, held: HeldOut) -> float:
    """Of one chunk by itself: the median of a few."""
    spent = []
    for row in held.single[: _TIMED + 1]:
        scenes = scenes_at(held.journeys, held.journeys.start[[row]])
        began_s = time.perf_counter()
        model.imagine(scenes, held.journeys.chunks[[row]], [0])
        spent.append(time.perf_counter() - began_s)
    return float(np.median(spent[1:]))  # the first one warms up
