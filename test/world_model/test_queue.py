"""One queue for all who ask: who is answered, with what, and when. The model here only takes its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError, VlaMbpoError
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, StateSource, go_on
from vla_mbpo_ros.world_model.queue import ImagineQueue
from vla_mbpo_ros.world_model.requests import Cancelled, NextChunk, Ticket, TimeUp, Wish

VIEWS, SIZE, HORIZON, DOF = ("head", "wrist"), (4, 4), 3, 2
POISON = 99.0  # an action that the model fails on
LIMIT_S = 10.0  # generous: the machine may be busy


@dataclass
class Slow:
    """The state becomes what is commanded last; each call takes `steps` steps, and all calls are kept."""

    steps: int = 1
    step_s: float = 0.0
    open: Event = field(default_factory=Event)  # it waits here, between steps, until it is set
    calls: list[list[int]] = field(default_factory=list)  # seeds of each call's rows
    finished: int = 0
    version: str = "slow-1"
    views: tuple[str, ...] = VIEWS
    size: tuple[int, int] = SIZE
    horizon: int = HORIZON

    def __post_init__(self) -> None:
        self.open.set()

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        self.calls.append(list(seeds))
        for _ in range(self.steps):
            pause()
            while not self.open.wait(0.005):
                pause()
            time.sleep(self.step_s)
        if (chunks == POISON).any():
            raise ZeroDivisionError("poison")
        self.finished += 1
        marks = np.array(seeds, dtype=np.uint32).view(np.uint8).reshape(-1, 4)[:, :1, None, None, None]
        images = np.broadcast_to(marks, scenes.images.shape).astype(np.uint8)
        success = scenes.state.sum(axis=1)  # of where it began, to be recognised
        return Dreams(images, success, scenes.state + chunks[:, -1], StateSource.COMMANDED)

    def judge(self, scenes: Scenes) -> FloatArray:
        return np.zeros(len(scenes))


def wish(chunks: int = 1, samples: int = 1, seed: int = 0, value: float = 1.0, limit_s: float = LIMIT_S) -> Wish:
    scene = Scenes(np.zeros((1, len(VIEWS), *SIZE, 3), np.uint8), np.zeros((1, DOF)), ("press",))
    return Wish(scene, np.full((chunks, HORIZON, DOF), value), samples, seed, limit_s)


def wait(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.002)


def finish(*tickets: Ticket) -> None:
    wait(lambda: all(ticket.done for ticket in tickets))


@pytest.fixture
def queue() -> Iterator[ImagineQueue]:
    queue = ImagineQueue(max_batch=4, max_waiting=3)
    yield queue
    queue.close()


@pytest.fixture
def closed_model() -> Iterator[Slow]:
    """It begins and does not go on until `open` is set."""
    model = Slow()
    model.open.clear()
    yield model
    model.open.set()


def test_chunks_follow_each_other_and_come_back_sample_by_sample(queue: ImagineQueue) -> None:
    ticket = queue.submit(Slow(), wish(chunks=3, samples=2, value=1.0))
    finish(ticket)
    steps = ticket.result()
    assert [(step.sample, step.chunk) for step in steps] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    for step in steps:
        np.testing.assert_array_equal(step.state, [step.chunk + 1.0] * DOF)
        assert step.success == step.chunk * DOF  # it began where the chunk before has ended
        assert step.source is StateSource.COMMANDED


def test_samples_have_seeds_of_their_own_and_the_company_changes_none(queue: ImagineQueue) -> None:
    alone = queue.submit(Slow(), wish(chunks=2, samples=3, seed=7))
    finish(alone)
    model = Slow()
    crowd = [queue.submit(model, wish(chunks=2, samples=3, seed=seed)) for seed in (6, 7, 8)]
    finish(*crowd)
    seen = [[int(step.images[0, 0, 0, 0]) for step in ticket.result()] for ticket in (alone, *crowd)]
    assert seen[0] == seen[2]
    used = [seed for call in model.calls for seed in call]
    assert len(set(used)) == len(used) == 18


def test_who_asks_at_the_same_time_shares_one_call(queue: ImagineQueue, closed_model: Slow) -> None:
    first = queue.submit(closed_model, wish())
    wait(lambda: len(closed_model.calls) == 1)
    others = [queue.submit(closed_model, wish(samples=2, seed=seed)) for seed in (1, 2)]
    closed_model.open.set()
    finish(first, *others)
    assert [len(call) for call in closed_model.calls] == [1, 4]


def test_a_long_request_does_not_make_a_short_one_wait(queue: ImagineQueue, closed_model: Slow) -> None:
    long = queue.submit(closed_model, wish(samples=40))
    wait(lambda: len(closed_model.calls) == 1)
    short = queue.submit(closed_model, wish(seed=1))
    closed_model.open.set()
    finish(short, long)
    assert seeds_of(short)[0] in closed_model.calls[1]  # the next one, though others came first
    assert len(closed_model.calls[1]) == 4


def test_more_requests_than_a_call_has_rows_take_turns(closed_model: Slow) -> None:
    queue = ImagineQueue(max_batch=1, max_waiting=3)
    try:
        tickets = [queue.submit(closed_model, wish(samples=4, seed=seed)) for seed in range(3)]
        closed_model.open.set()
        finish(*tickets)
    finally:
        queue.close()
    owners = [
        next(index for index, ticket in enumerate(tickets) if call[0] in seeds_of(ticket))
        for call in closed_model.calls
    ]
    assert sorted(owners[3:6]) == sorted(owners[6:9]) == [0, 1, 2]


def seeds_of(ticket: Ticket) -> list[int]:
    """Of its first chunks."""
    return [NextChunk(ticket, sample, 0, ticket.wish.scene).seed for sample in range(ticket.wish.samples)]


def test_when_time_is_up_the_asker_hears_at_once_and_the_model_stops(queue: ImagineQueue, closed_model: Slow) -> None:
    ticket = queue.submit(closed_model, wish(limit_s=0.1))
    finish(ticket)
    assert ticket.elapsed_s < 5.0
    with pytest.raises(TimeUp, match=r"0 of 1 steps were imagined in 0\.1 s\. Give a longer time_limit_s"):
        ticket.result()
    wait(lambda: len(queue) == 0)
    closed_model.open.set()
    finish(after := queue.submit(closed_model, wish()))
    assert len(after.result()) == 1
    assert (len(closed_model.calls), closed_model.finished) == (2, 1)  # the first one was given up


def test_time_runs_also_for_who_waits_behind_another(queue: ImagineQueue, closed_model: Slow) -> None:
    first = queue.submit(closed_model, wish())
    wait(lambda: len(closed_model.calls) == 1)
    second = queue.submit(closed_model, wish(limit_s=0.05))
    finish(second)
    assert not first.done
    closed_model.open.set()
    finish(first)
    assert len(first.result()) == 1


def test_a_model_that_never_pauses_cannot_keep_an_asker(queue: ImagineQueue) -> None:
    model = Slow(step_s=0.4)
    ticket = queue.submit(model, wish(limit_s=0.05))
    wait(lambda: bool(model.calls))
    time.sleep(0.06)
    queue.look_at_the_clock()
    assert ticket.done
    with pytest.raises(TimeUp):
        ticket.result()


def test_a_cancelled_request_ends_and_its_company_goes_on(queue: ImagineQueue, closed_model: Slow) -> None:
    blocker = queue.submit(closed_model, wish())
    wait(lambda: len(closed_model.calls) == 1)
    cancelled, other = (queue.submit(closed_model, wish(seed=seed)) for seed in (1, 2))
    cancelled.cancel()
    closed_model.open.set()
    finish(blocker, other)
    with pytest.raises(Cancelled, match="after 0 of 1 steps"):
        cancelled.result()
    assert len(other.result()) == 1


def test_what_was_imagined_before_a_cancel_is_told(queue: ImagineQueue) -> None:
    model = Slow(steps=5, step_s=0.01)
    ticket = queue.submit(model, wish(chunks=50))
    wait(lambda: len(ticket.steps) >= 2)
    ticket.cancel()
    wait(lambda: len(queue) == 0)
    with pytest.raises(Cancelled, match=r"of 50 steps"):
        ticket.result()
    done = model.finished
    time.sleep(0.2)
    assert model.finished <= done + 1


def test_an_error_reaches_the_request_that_causes_it_and_no_other(queue: ImagineQueue, closed_model: Slow) -> None:
    blocker = queue.submit(closed_model, wish())
    wait(lambda: len(closed_model.calls) == 1)
    bad, good = queue.submit(closed_model, wish(value=POISON)), queue.submit(closed_model, wish(chunks=2, samples=2))
    closed_model.open.set()
    finish(blocker, bad, good)
    with pytest.raises(VlaMbpoError, match="The world model failed: ZeroDivisionError"):
        bad.result()
    assert len(good.result()) == 4


def test_a_full_queue_refuses(queue: ImagineQueue, closed_model: Slow) -> None:
    waiting = [queue.submit(closed_model, wish()) for _ in range(3)]
    with pytest.raises(VlaMbpoError, match="3 requests are waiting, which is the most"):
        queue.submit(closed_model, wish())
    closed_model.open.set()
    finish(*waiting)
    finish(queue.submit(closed_model, wish()))


def test_a_request_keeps_its_model_when_another_comes(queue: ImagineQueue, closed_model: Slow) -> None:
    old = queue.submit(closed_model, wish(chunks=3))
    wait(lambda: len(closed_model.calls) == 1)
    model = Slow(version="slow-2")
    new = queue.submit(model, wish(chunks=2))
    closed_model.open.set()
    finish(old, new)
    assert ([len(call) for call in closed_model.calls], [len(call) for call in model.calls]) == ([1] * 3, [1] * 2)


def test_the_end_of_the_queue_is_the_end_of_who_waits(closed_model: Slow) -> None:
    queue = ImagineQueue(max_batch=4, max_waiting=3)
    tickets = [queue.submit(closed_model, wish()) for _ in range(2)]
    wait(lambda: bool(closed_model.calls))
    queue.close()
    for ticket in tickets:
        with pytest.raises(Cancelled, match="was stopped"):
            ticket.result()
    with pytest.raises(VlaMbpoError, match="has been stopped"):
        queue.submit(closed_model, wish())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chunks": np.zeros((1, HORIZON + 1, DOF))}, "chunks of 3 steps and 2 joints"),
        ({"chunks": np.zeros((0, HORIZON, DOF))}, "one or more"),
        ({"chunks": np.zeros((1, HORIZON, DOF + 1))}, "2 joints"),
        ({"samples": 0}, "one or more"),
        ({"scene": Scenes(np.zeros((1, 1, *SIZE, 3), np.uint8), np.zeros((1, DOF)), ("",))}, "head, wrist, 4 x 4"),
        ({"scene": Scenes(np.zeros((1, 2, *SIZE, 3), np.uint8)[:, :, :2], np.zeros((1, DOF)), ("",))}, "4 x 4 pixels"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_it_waits(
    queue: ImagineQueue, change: dict[str, object], words: str
) -> None:
    with pytest.raises(ContractError, match=words):
        queue.submit(Slow(), replace(wish(), **change))  # type: ignore[arg-type]
    assert len(queue) == 0


class Short(Slow):
    """It forgets to judge."""

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        return replace(super().imagine(scenes, chunks, seeds, pause), success=np.zeros(0))


def test_an_answer_of_the_wrong_form_is_one_request_s_error_and_the_queue_goes_on(queue: ImagineQueue) -> None:
    odd = queue.submit(Short(), wish())
    finish(odd)
    with pytest.raises(VlaMbpoError, match="The world model failed: IndexError"):
        odd.result()
    good = queue.submit(Slow(), wish())
    finish(good)
    assert len(good.result()) == 1
