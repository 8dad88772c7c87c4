"""A source behind the page: an episode of the tabletop that plays again and again, and a model that dreams from it.

python test/web/tabletop_source.py          serves the page until Ctrl-C, with the simulator as its dreams
"""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Event, Lock, Thread

import numpy as np

from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.evaluation.dreams import Note
from vla_mbpo_ros.evaluation.images import changed_psnr, psnr, ssim
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray, Frame, ImageArray
from vla_mbpo_ros.sim.tabletop import TASKS, Snapshot, get_table_task, to_command
from vla_mbpo_ros.sim.tabletop.experts import expert_action
from vla_mbpo_ros.sim.tabletop.world import World
from vla_mbpo_ros.web.source import Dream, Model, PageState, Reality, Running, What
from vla_mbpo_ros.world_model.protocol import WorldModel
from vla_mbpo_ros.world_model.rivals.oracle import GroundedScenes, OracleWorld

HORIZON, CHUNKS, HZ = 10, 3, 15.0
TITLES = {What.LATEST: "the latest chunk", What.DO_NOTHING: "doing nothing"}


def stamp_ns(tick: int) -> int:
    return round(tick / HZ * 1e9)


class Episode:
    """An expert's, at every tick: what is seen, where the simulator is, and what is commanded then."""

    def __init__(self, task: str = "lift_red", seed: int = 3, side: int = 64) -> None:
        self.instruction = get_table_task(task).instruction
        self.images, self.states = list[ImageArray](), list[FloatArray]()
        self.snapshots, self.commands = list[Snapshot](), list[FloatArray]()
        world = World()
        world.begin(task, seed)
        while not (world.success and len(self.commands) > world.success_tick + HORIZON * CHUNKS):
            self.images.append(world.views(side, side))
            self.states.append(world.position())
            self.snapshots.append(world.snapshot())
            self.commands.append(to_command(expert_action(TASKS[task], world.state())))
            world.step(self.commands[-1])
        self.end = world.success_tick  # where it begins anew, so that a few chunks are left from anywhere
        world.close()


class TabletopSource:
    """One dream at a time, on a thread of its own; everything else behind one lock."""

    def __init__(self, episode: Episode, model: WorldModel | None) -> None:
        self.model = model  # None: it is still being loaded
        self.go_on = Event()  # a dream waits for it before each chunk
        self.go_on.set()
        self.stand_at: int | None = None  # a tick at which time stands still
        self._episode, self._began_s = episode, time.monotonic()
        self._lock, self._cancelled = Lock(), Event()
        self._running: Running | None = None
        self._made: dict[str, tuple[Dream, list[ImageArray]]] = {}  # with (S, V, H, W, 3) after 0, 1, … chunks
        self._reality: tuple[Reality, ...] = ()
        self._compared: dict[str, int] = {}  # dream -> the tick that it was held against
        self._notes: list[Note] = []
        self._count = 0

    @property
    def tick(self) -> int:
        """Where it is now: the last seconds before success, over and over; but for the last chunk, for the simulator
        dreams no further than to the end, and the episode goes on."""
        if self.stand_at is not None:
            return self.stand_at
        first, last = max(self._episode.end - HORIZON * CHUNKS, 0), self._episode.end - HORIZON
        return first + int((time.monotonic() - self._began_s) * HZ) % (last - first)

    def cameras(self) -> dict[str, int | None]:
        return dict.fromkeys(TABLETOP.camera_names, stamp_ns(self.tick))

    def newest_frame(self, camera: str) -> Frame:
        tick = self.tick
        return Frame(stamp_ns(tick), self._episode.images[tick][TABLETOP.camera_names.index(camera)], tick)

    def state(self) -> PageState:
        model = Model(loading="oracle_sim") if self.model is None else Model(self.model.version)
        with self._lock:
            dreams = tuple(dream for dream, _ in reversed(self._made.values()))
            notes = tuple(self._notes[-5:])
            return PageState(model, self._episode.instruction, self._running, dreams, self._reality, notes)

    def dreamed_picture(self, dream: str, sample: int, chunk: int, view: str) -> ImageArray | None:
        with self._lock:
            made, pictures = self._made.get(dream, (None, []))
        if made is None or chunk >= len(pictures) or sample >= len(made.success) or view not in made.views:
            return None
        return pictures[chunk][sample, made.views.index(view)]

    def true_picture(self, dream: str, view: str) -> ImageArray | None:
        with self._lock:
            tick = self._compared.get(dream)
        return None if tick is None else self._episode.images[tick][TABLETOP.camera_names.index(view)]

    def ask(self, what: What, samples: int) -> str:
        with self._lock:
            if self.model is None:
                raise VlaMbpoError("The world model is still being loaded.", "Ask again in a moment.")
            if self._running is not None:
                raise VlaMbpoError("A dream is under way.", "Wait for it, or cancel it.")
            title = (f"{samples} samples of " if samples > 1 else "") + TITLES[what]
            self._running = Running(title, 0, samples * CHUNKS)
            self._count += 1
            self._cancelled.clear()
        arguments = (self.model, f"dream-{self._count}", title, what, samples, self.tick)
        Thread(target=self._dream, args=arguments, daemon=True).start()
        return f"Imagining {title}."

    def cancel(self) -> str:
        self._cancelled.set()
        return "Cancelled."

    def clear(self) -> str:
        with self._lock:
            self._made.clear()
            self._reality = ()
        return "Cleared."

    # -- on the dream's thread -----------------------------------------------------------------------------------

    def _pause(self) -> None:
        while not self._cancelled.is_set() and not self.go_on.wait(0.01):
            pass
        if self._cancelled.is_set():
            raise VlaMbpoError("The dream was cancelled.")

    def _dream(self, model: WorldModel, key: str, title: str, what: What, samples: int, tick: int) -> None:
        episode, began_s = self._episode, time.monotonic()
        now = (episode.images[tick][None], episode.states[tick][None], (episode.instruction,))
        scenes = GroundedScenes(*now, (episode.snapshots[tick],)).repeat(samples)
        dream = Dream(key, title, model.views, CHUNKS, ((),) * samples, model.version)
        pictures = [scenes.images]
        try:
            for number, chunk in enumerate(self._chunks(what, tick)):
                self._pause()
                dreams = model.imagine(scenes, np.repeat(chunk[None], samples, axis=0), range(samples), self._pause)
                success = tuple((*before, float(p)) for before, p in zip(dream.success, dreams.success, strict=True))
                dream = replace(dream, success=success, elapsed_s=time.monotonic() - began_s)
                pictures.append(dreams.images)
                with self._lock:
                    self._made[key] = dream, list(pictures)
                    self._running = Running(dream.title, samples * (number + 1), samples * CHUNKS)
                scenes = dreams.as_scenes(scenes)
            if what is What.LATEST:
                self._compare(dream, pictures, tick + HORIZON)
            self._end(Note(f"Imagined {dream.title} in {dream.elapsed_s:.2f} s."))
        except VlaMbpoError as error:
            self._end(Note(str(error), is_error=True))

    def _chunks(self, what: What, tick: int) -> list[FloatArray]:
        """(K, 7) each: what was commanded then, or velocities of zero and the gripper where it is."""
        starts = [tick + HORIZON * number for number in range(CHUNKS)]
        chunks = [np.stack(self._episode.commands[start : start + HORIZON]) for start in starts]
        still = np.zeros((HORIZON, TABLETOP.dof))
        still[:, -1] = self._episode.states[tick][-1]
        return chunks if what is What.LATEST else [still] * CHUNKS

    def _compare(self, dream: Dream, pictures: list[ImageArray], tick: int) -> None:
        """With what was seen when these commands were executed."""
        before, made, truth = pictures[0][0], pictures[1][0], self._episode.images[tick]
        near, alike, moved = psnr(truth, made), ssim(truth, made), changed_psnr(before, truth, made)
        rows = zip(TABLETOP.camera_names, near, alike, moved, strict=True)
        reality = tuple(Reality(view, float(a), float(a), float(b), float(c)) for view, a, b, c in rows)
        verdict = ", ".join(f"{each.view} {each.psnr_db:.1f} dB" for each in reality)
        with self._lock:
            self._reality, self._compared[dream.key] = reality, tick
            self._made[dream.key] = replace(dream, has_truth=True, verdict=f"Beside what came: {verdict}."), pictures

    def _end(self, note: Note) -> None:
        with self._lock:
            self._running = None
            self._notes.append(note)


if __name__ == "__main__":
    from vla_mbpo_ros.config import PageConfig
    from vla_mbpo_ros.web.page import Page

    with OracleWorld(HORIZON, workers=1, size=(128, 128)) as oracle:
        page = Page(TabletopSource(Episode(side=128), oracle), PageConfig())
        page.start()
        try:
            Event().wait()
        except KeyboardInterrupt:
            page.stop()
