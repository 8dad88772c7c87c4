"""What is commanded at a moment, as a function of time.

A chunk is a function of time: step i is meant for `observed_ns + i * dt_ns`. Positions are interpolated
linearly between steps, velocities keep the value of the step before. Past its last step a chunk stays there:
last position, and velocity zero once it is used up.

Chunks are laid over each other as layers. Each fades in over what lies below:

    c_0(t) = where the arm rests
    c_i(t) = (1 - w_i(t)) * c_{i-1}(t) + w_i(t) * chunk_i(t)         w_i = smooth((t - s_i) / blend)
    smooth(x) = 3 x^2 - 2 x^3                                        s_i = first tick that chunk i is used

w_i and its slope are zero at s_i, so both the command and its velocity go on as if nothing had happened: no
jump, also when chunk i comes in the middle of the fade of chunk i-1. Once w_i is 1 all below it is dropped.
(Decaying the offset `last command - chunk_i(s_i)` needs no old chunk but stops a moving arm for one tick.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.schema import ActionChunk, FloatArray

BoolArray = npt.NDArray[np.bool_]


def smooth(x: float) -> float:
    """0 up to x = 0, 1 from x = 1 on, flat at both ends; the steepest slope is 1.5."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def step_at(chunk: ActionChunk, now_ns: int) -> int:
    """Index of the step that `now_ns` falls into."""
    step = (now_ns - chunk.observed_ns) // chunk.dt_ns
    return int(min(max(step, 0), chunk.horizon - 1))


def sample(chunk: ActionChunk, now_ns: int, is_velocity: BoolArray) -> FloatArray:
    """(N,) the chunk's own command for `now_ns`."""
    step = step_at(chunk, now_ns)
    after = min(step + 1, chunk.horizon - 1)
    passed = (now_ns - chunk.observed_ns) - step * chunk.dt_ns
    share = min(max(passed / chunk.dt_ns, 0.0), 1.0)
    position = (1.0 - share) * chunk.values[step] + share * chunk.values[after]  # this form cannot overflow
    velocity = chunk.values[step] if now_ns < chunk.end_ns else np.zeros_like(position)
    values: FloatArray = np.where(is_velocity, velocity, position)
    return values


@dataclass(frozen=True)
class Layer:
    chunk: ActionChunk
    start_ns: int  # first tick that it is used
    length_ns: int  # of its fade; 0 means at once

    def weight(self, now_ns: int) -> float:
        if self.length_ns <= 0:
            return 1.0
        return smooth((now_ns - self.start_ns) / self.length_ns)


class Crossfade:
    """The layers; `rest` (N,) is where the arm is before the first."""

    def __init__(self, rest: FloatArray, is_velocity: BoolArray) -> None:
        self._rest = rest
        self._is_velocity = is_velocity
        self._layers: list[Layer] = []

    def push(self, chunk: ActionChunk, now_ns: int, length_ns: int) -> None:
        self._layers.append(Layer(chunk, now_ns, length_ns))

    def at(self, now_ns: int) -> FloatArray:
        """(N,) command for `now_ns`, which never goes back."""
        self._drop_hidden(now_ns)
        values = self._rest
        for layer in self._layers:
            weight = layer.weight(now_ns)
            values = (1.0 - weight) * values + weight * sample(layer.chunk, now_ns, self._is_velocity)
        return values

    def blending(self, now_ns: int) -> bool:
        return any(layer.weight(now_ns) < 1.0 for layer in self._layers)

    def _drop_hidden(self, now_ns: int) -> None:
        whole = [index for index, layer in enumerate(self._layers) if layer.weight(now_ns) >= 1.0]
        if whole:
            self._layers = self._layers[whole[-1] :]
