"""Lets people look at what the world model imagines, and holds it against what the cameras see then.

    menu in RViz, page ──> world_model/imagine ──> DreamLog ──> imagined/<view>/image, imagined/strip, imagined/markers
                                                      ^  └────> the page for browsers, with `page.enabled`
          cameras, executed commands ──> Courses ──truth──> errors of each view in /diagnostics

Nothing here commands, and no tick waits for it. With `imagination_view.every` it asks by itself what the model makes
of the commands that were executed, once that is over: of these the truth is always known.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from vla_mbpo_ros.errors import ContractError, VlaMbpoError
from vla_mbpo_ros.evaluation.courses import Course, strayed
from vla_mbpo_ros.evaluation.dream_view import error_facts
from vla_mbpo_ros.evaluation.dreams import Check, Dream, DreamLog, compare
from vla_mbpo_ros.nodes import diagnostics
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.nodes.imagination_inputs import Sights
from vla_mbpo_ros.nodes.imagination_messages import Wish, dream_of, goal_of, truth_of
from vla_mbpo_ros.nodes.imagination_outputs import Screen, draw
from vla_mbpo_ros.nodes.imagination_page import DreamPage
from vla_mbpo_ros.nodes.imagine_client import ImagineClient
from vla_mbpo_ros.nodes.menu_marker import MenuMarker
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.web.source import What
from vla_mbpo_ros.world_model.requests import Cancelled

LATEST, SAMPLES, STILL, CLEAR = "latest", "samples", "still", "clear"  # entries of the menu
WORK_S = 60.0  # longest wait for pictures to be drawn or compared
UNDECIDED = 16  # dreams whose end is awaited

Result = TypeVar("Result")


class ImaginationViewNode(ManagedNode):
    SECTIONS = (
        "imagination_view",
        "page",
        "cameras",
        "policy.horizon",
        "policy.max_state_age_s",
        "world_model.kind",
        "world_model.time_limit_s",
    )

    def __init__(self) -> None:
        super().__init__("imagination_view_node")

    def build(self) -> None:
        own = self.cfg.imagination_view
        self.log = DreamLog(own.mean_over)
        self._asked = self._proposed = 0  # questions, and chunks that a policy proposed
        self._skipped = 0  # what was to be imagined by itself, and was not
        self._shown: Dream | None = None
        self._life: object | None = object()  # until clean-up; who awaits something then must touch nothing any more
        self._current: Wish | None = None
        self._next: Wish | None = None  # waits until what nobody asked for is cancelled
        self._due: list[Course] = []  # to be imagined by itself once they are over
        self._undecided: list[tuple[Dream, Wish]] = []
        self._calls = Calls(self)
        self._client = ImagineClient(self, self.cfg.world_model.time_limit_s)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dreams")
        self._screen = Screen(self)
        self._sights = Sights(self, self._on_proposed, self._on_over)
        self._menu = MenuMarker(self, "imagined/menu", own.frame_id, self._entries(), self._on_chosen)
        page = DreamPage(self, self.log, self._sights, self, self._client.is_ready) if self.cfg.page.enabled else None
        self._page = page

    def start(self) -> None:
        self._shown = None
        self._menu.show()
        self._screen.show_nothing(self.now_ns())
        self._tell("Click on the cube to imagine.")
        if self._page:
            self._page.serve()

    def stop(self) -> None:
        if self._page:
            self._page.end()
        self._client.cancel()
        self._next = None

    def dismantle(self) -> None:
        if hasattr(self, "_menu"):
            self._life = None
            self._menu.close()
            self._client.close()
            self._calls.close()
            self._worker.shutdown(wait=False, cancel_futures=True)

    def diagnose(self, status: diagnostics.Status) -> None:
        newest, outcomes = self.log.newest, self.log.outcomes
        if self._page:
            self._page.diagnose(status)
        status.add("said", self.log.said)
        status.add("under way", self.log.under_way or "nothing")
        status.add("dreams", str(len(self.log.dreams)))
        status.add("model", newest.model_version if newest else "none")
        status.add("success probability", f"{newest.last_success:.3f}" if newest else "none")
        status.add("compared, not compared", f"{outcomes['compared']}, {outcomes['not compared']}")
        status.add("why not compared", self.log.why_not)
        status.add("chunks not seen, not imagined by itself", f"{self._sights.missed}, {self._skipped}")
        last, mean = self.log.last(), self.log.means()
        for view, errors in last.items():
            for key, value in error_facts(errors, mean[view]).items():
                status.add(f"{view} {key}", value)

    def _entries(self) -> dict[str, str]:
        return {
            LATEST: "Imagine the latest chunk",
            SAMPLES: f"Imagine {self.cfg.imagination_view.samples} samples of it",
            STILL: "Control: imagine that nothing is commanded",
            CLEAR: "Clear",
        }

    # -- what people choose --------------------------------------------------------------------------------------

    def _on_chosen(self, entry: str) -> None:
        if entry == CLEAR:
            self.clear()
            return
        what = What.DO_NOTHING if entry == STILL else What.LATEST
        self.imagine(what, self.cfg.imagination_view.samples if entry == SAMPLES else 1)

    def imagine(self, what: What, samples: int) -> str:
        """Begin it, or an error says why not."""
        try:
            wish = self._wish(what, samples)
            self._take(wish)
        except VlaMbpoError as error:
            self._note(str(error), is_error=True)
            raise
        return f"Imagining: {wish.how} …"

    def cancel(self) -> str:
        """What is under way, for whomever; what was imagined stays."""
        if self._current is None:
            return "Nothing is under way."
        self._next = None
        self._client.cancel()
        return f"Cancelling: {self._current.how} …"

    def clear(self) -> str:
        self._next = self._shown = None
        self._undecided.clear()
        self.log.clear()
        self._client.cancel()
        self._screen.show_nothing(self.now_ns())
        self._note("Cleared.")
        return "Cleared."

    def _wish(self, what: What, samples: int) -> Wish:
        self._asked += 1
        still = what is What.DO_NOTHING
        course = self._sights.still() if still else self._sights.latest
        how = "nothing commanded" if still else "chunk"
        how = f"{samples} samples of {how}" if samples > 1 else how
        return Wish(how, course, course.chunk, samples, self._asked)

    def _take(self, wish: Wish) -> None:
        """Now, after what nobody asked for, or not at all."""
        busy = self._current
        if busy is None:
            self._begin(wish)
        elif not busy.asked and self._next is None:
            self._next = wish
            self._client.cancel()
        else:
            told = (self._next or busy).how
            raise VlaMbpoError(f"'{wish.how}' is not begun: '{told}' is under way.", "Wait for it, or choose Clear.")

    def _tell(self, text: str, asked: bool = True) -> None:
        self.log.said = text
        if asked or not self._holds():
            self._screen.tell(self._shown, text)

    def _note(self, text: str, asked: bool = True, is_error: bool = False) -> None:
        """As `_tell`, and remembered if somebody asked for it."""
        if asked:
            self.log.note(text, is_error)
        self._tell(text, asked)

    def _holds(self) -> bool:
        """Whether somebody looks at what they asked for: until Clear nothing else takes its place."""
        return self._shown is not None and self._shown.asked

    # -- imagining -----------------------------------------------------------------------------------------------

    def _begin(self, wish: Wish) -> None:
        self._current, self.log.under_way = wish, wish.how
        self.log.progress = 0, wish.samples
        self._tell(f"Imagining: {wish.how} …", wish.asked)
        self.executor.create_task(self._imagine(wish, self._life))

    async def _imagine(self, wish: Wish, life: object) -> None:
        failure: VlaMbpoError | None = None
        try:
            await self._dream(wish, life)
        except VlaMbpoError as error:
            failure = error
        if life is not self._life:
            return
        if failure is not None:
            self._fail(wish, failure)
        self._current, after, self._next = None, self._next, None
        self.log.under_way = ""
        if after is not None:
            self._begin(after)

    def _fail(self, wish: Wish, error: VlaMbpoError) -> None:
        if not isinstance(error, Cancelled):
            self._note(f"Not imagined: {wish.how}. {error}", wish.asked, is_error=True)
            self.complain(error)
        elif wish.asked:
            self._note(f"Cancelled: {wish.how}.")

    async def _dream(self, wish: Wish, life: object) -> None:
        goal = goal_of(wish, self._sights, self.robot, self.cfg.imagination_view.jpeg_quality)
        result = await self._client.ask(goal, partial(self._on_progress, wish))
        made = await self._work(partial(dream_of, wish, result, self._sights), life)
        if self._client.cancelled:
            raise Cancelled("Cancelled.")
        dream = self.log.add(made)
        self._undecided = [*self._undecided[-UNDECIDED + 1 :], (dream, wish)]
        if dream.asked or not self._holds():
            self._shown = dream
        await self._show(dream, life)
        self._note(f"Imagined: {wish.how}, in {dream.elapsed_s:.2f} s.", wish.asked)
        self._settle()

    def _on_progress(self, wish: Wish, done: int, total: int) -> None:
        if wish is not self._current:
            return
        self.log.progress = done, total
        if done < total:
            self._tell(f"Imagining: {wish.how}, {done} of {total} steps …", wish.asked)

    async def _show(self, dream: Dream, life: object) -> None:
        drawn = await self._work(partial(draw, dream), life)
        if self._shown is not None and self._shown.number == dream.number:
            self._shown = dream
            self._screen.show(drawn)

    async def _work(self, job: Callable[[], Result], life: object) -> Result:
        """On the worker thread; Cancelled when the node is taken down meanwhile."""
        if life is not self._life:
            raise Cancelled("Cancelled.")
        future = self._worker.submit(job)
        await self._calls.until(lambda: future.done() or life is not self._life, WORK_S)
        if life is not self._life:
            raise Cancelled("Cancelled.")
        if not future.done():
            raise VlaMbpoError(f"Pictures took longer than {WORK_S:g} s.", "Is this machine overloaded?")
        return future.result()

    # -- reality -------------------------------------------------------------------------------------------------

    def _on_proposed(self, course: Course) -> None:
        self._proposed += 1
        every = self.cfg.imagination_view.every
        if every and self._proposed % every == 0:
            self._due.append(course)

    def _on_over(self, courses: list[Course]) -> None:
        due = [course for course in self._due if course.over]
        self._due = [course for course in self._due if not course.over]
        for course in due:
            if course.why_not or self._current is not None:
                self._skipped += 1
                continue
            self._asked += 1
            self._begin(Wish("what was executed", course, course.as_executed, seed=self._asked, asked=False))
        self._settle()

    def _settle(self) -> None:
        """Compare what is over by now."""
        over = [(dream, wish) for dream, wish in self._undecided if wish.course.over]
        self._undecided = [(dream, wish) for dream, wish in self._undecided if not wish.course.over]
        for dream, wish in over:
            self.executor.create_task(self._compare(dream, wish, self._life))

    async def _compare(self, dream: Dream, wish: Wish, life: object) -> None:
        try:
            check = await self._check(dream, wish, life)
            closed = self.log.close(dream.number, check)
            if closed is not None:
                await self._show(closed, life)
        except VlaMbpoError as error:
            if life is self._life:
                self.complain(error)

    async def _check(self, dream: Dream, wish: Wish, life: object) -> Check:
        course = wish.course
        why_not = strayed(course, wish.chunk, self.robot, self.cfg.imagination_view.tolerance)
        if why_not:
            return Check({}, {}, why_not)
        try:
            return await self._work(lambda: compare(dream, truth_of(dream, course, self._sights)), life)
        except ContractError as error:  # a camera that sends another size now, say
            return Check({}, {}, str(error))


def main() -> None:
    run(ImaginationViewNode)


if __name__ == "__main__":
    main()
