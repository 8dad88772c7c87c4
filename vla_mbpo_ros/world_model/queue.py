"""Many who ask, one model: requests are cut into rows, and rows of several requests go through it together.

    submit ──> Ticket   sample 0: chunk 0 ─> chunk 1 ─> …  ┐
                        sample 1: chunk 0 ─> chunk 1 ─> …  ├─ one row of each request in turn ──> model.imagine
    submit ──> Ticket   sample 0: chunk 0 ─> …             ┘        between its steps: pause

The model is called on one thread. A request ends early when its time is up or it is cancelled: its asker hears so at
once, and the model stops as soon as nobody waits for what it computes. An error reaches the requests that cause it:
when a call of several fails, each is tried alone. A request keeps the model that it began with.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Condition, Thread

import numpy as np

from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.world_model.protocol import Dreams, Scenes, WorldModel
from vla_mbpo_ros.world_model.requests import Cancelled, NextChunk, Step, Ticket, Wish, check

_END_S = 0.4  # longest wait for the model at the end; it may be in the middle of a long step


class ImagineQueue:
    """At most `max_waiting` requests at a time, at most `max_batch` rows in one call of the model."""

    def __init__(self, max_batch: int, max_waiting: int) -> None:
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._tickets: deque[Ticket] = deque()  # the next one whose turn it is first
        self._changed = Condition()
        self._closed = False
        self.calls = 0  # of the model
        self.last_s = 0.0  # wall time of the newest
        self._thread = Thread(target=self._run, name="imagine", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Requests that are not done."""
        return sum(not ticket.done for ticket in tuple(self._tickets))

    def submit(self, model: WorldModel, wish: Wish, news: Callable[[], None] = lambda: None) -> Ticket:
        """Refused by an error when it does not fit the model or too many wait."""
        check(model, wish)
        ticket = Ticket(model, wish, news)
        ticket.rows.extend(NextChunk(ticket, sample, 0, wish.scene) for sample in range(wish.samples))
        with self._changed:
            waiting = len(self)
            if self._closed:
                raise VlaMbpoError("The world model has been stopped.", "Activate its node again.")
            if waiting >= self._max_waiting:
                raise VlaMbpoError(f"{waiting} requests are waiting, which is the most.", "Ask again in a moment.")
            self._tickets.append(ticket)
            self._changed.notify()
        return ticket

    def look_at_the_clock(self) -> None:
        """End the requests whose time is up; for who waits while a model takes long between two steps."""
        for ticket in tuple(self._tickets):
            ticket.look_at_the_clock()

    def close(self) -> None:
        """End everything that waits, then the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for ticket in tuple(self._tickets):
            ticket.fail(Cancelled("The world model was stopped.", "Ask again when its node is active."))
        self._thread.join(_END_S)

    # -- on the worker's thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while rows := self._next():
            self._imagine(rows)
            del rows  # a thread that waits must not keep a model that has been exchanged

    def _next(self) -> list[NextChunk]:
        """Rows for one call; empty at the end."""
        with self._changed:
            while not self._closed:
                self.look_at_the_clock()
                self._tickets = deque(ticket for ticket in self._tickets if not ticket.done)
                if self._tickets:
                    return self._pick()
                self._changed.wait()
        return []

    def _pick(self) -> list[NextChunk]:
        """One row of each request in turn, until the call is full; the next call begins with another request."""
        model, rows = self._tickets[0].model, list[NextChunk]()
        sharing = [ticket for ticket in self._tickets if ticket.model is model]
        while len(rows) < self._max_batch and any(ticket.rows for ticket in sharing):
            for ticket in sharing:
                if ticket.rows and len(rows) < self._max_batch:
                    rows.append(ticket.rows.popleft())
        self._tickets.rotate(-1)
        return rows

    def _imagine(self, rows: list[NextChunk]) -> None:
        tickets = list(dict.fromkeys(row.ticket for row in rows))

        def pause() -> None:
            self.look_at_the_clock()
            if all(ticket.done for ticket in tickets):
                raise Cancelled("Nobody waits for this any more.")

        began_s = time.monotonic()
        try:
            pause()
            scenes = join([row.scene for row in rows])
            chunks = np.stack([row.ticket.wish.chunks[row.chunk] for row in rows])
            dreams = tickets[0].model.imagine(scenes, chunks, [row.seed for row in rows], pause)
            took_s = time.monotonic() - began_s
            after = dreams.as_scenes(scenes)
            made = [(_step(row, dreams, index, took_s), after.select([index])) for index, row in enumerate(rows)]
        except Exception as error:  # whatever a model does, the queue goes on
            self._blame(tickets, rows, error)
            return
        self.calls, self.last_s = self.calls + 1, took_s
        for row, (step, scene) in zip(rows, made, strict=True):
            self._keep(row, step, scene)
        for ticket in tickets:
            ticket.news()

    def _keep(self, row: NextChunk, step: Step, after: Scenes) -> None:
        ticket = row.ticket
        if not ticket.done:
            ticket.steps.append(step)
            if row.chunk + 1 < len(ticket.wish.chunks):
                ticket.rows.append(replace(row, chunk=row.chunk + 1, scene=after))

    def _blame(self, tickets: Sequence[Ticket], rows: Sequence[NextChunk], error: Exception) -> None:
        """Who was alone is the cause; of several each is tried alone."""
        if len(tickets) == 1:
            tickets[0].fail(_ours(error))
            return
        for ticket in tickets:
            if not ticket.done:
                self._imagine([row for row in rows if row.ticket is ticket])


def join(scenes: Sequence[Scenes]) -> Scenes:
    """The rows of all, one after the other."""
    return Scenes(
        np.concatenate([each.images for each in scenes]),
        np.concatenate([each.state for each in scenes]),
        tuple(text for each in scenes for text in each.instructions),
    )


def _step(row: NextChunk, dreams: Dreams, index: int, elapsed_s: float) -> Step:
    return Step(
        chunk=row.chunk,
        sample=row.sample,
        images=dreams.images[index],
        success=float(dreams.success[index]),
        state=dreams.state[index],
        source=dreams.source,
        elapsed_s=elapsed_s,
    )


def _ours(error: Exception) -> VlaMbpoError:
    if isinstance(error, VlaMbpoError):
        return error
    return VlaMbpoError(f"The world model failed: {error!r}.", "Ask for less at once, or load another model.")
