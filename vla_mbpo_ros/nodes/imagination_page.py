"""The page for browsers, of imagination_view_node: what its threads ask for, from what the node knows.

browser ──> web.page.Page ──> DreamSource ──state, pictures──> DreamLog, Sights
                                  └──ask, cancel, clear──> HandOver ──> the node's own thread
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from std_msgs.msg import String

from vla_mbpo_ros.bringup.options import NO_WORLD_MODEL
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.evaluation.dream_view import check_lines
from vla_mbpo_ros.evaluation.dreams import Dream, DreamLog
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.hand_over import HandOver
from vla_mbpo_ros.nodes.imagination_inputs import Sights
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.schema import Frame, ImageArray
from vla_mbpo_ros.web.page import Page
from vla_mbpo_ros.web.source import Dream as ShownDream
from vla_mbpo_ros.web.source import Model, PageState, Reality, Running, What

LOOK_S = 0.2  # how soon it is seen that the world model came or went


class Wishes(Protocol):
    """What people may want of the node; on its own thread. Each gives a sentence or raises a refusal."""

    def imagine(self, what: What, samples: int) -> str: ...

    def cancel(self) -> str: ...

    def clear(self) -> str: ...


class DreamSource:
    """A `web.source.PageSource`: on the page's threads."""

    def __init__(self, node: ManagedNode, log: DreamLog, sights: Sights, wishes: Wishes) -> None:
        self._log, self._sights, self._wishes = log, sights, wishes
        self._hand_over = HandOver(node)
        kind = node.cfg.world_model.kind
        self._kind = "a world model" if kind == NO_WORLD_MODEL else kind  # it may run elsewhere
        self._cameras = tuple(node.cfg.cameras)
        self.is_ready, self.instruction = False, ""  # kept by the node's thread

    def cameras(self) -> Mapping[str, int | None]:
        newest = self._sights.newest
        return {camera: newest[camera][0] if camera in newest else None for camera in self._cameras}

    def newest_frame(self, camera: str) -> Frame | None:
        if camera not in self._sights.newest:
            return None
        stamp_ns, message = self._sights.newest[camera]
        return Frame(stamp_ns, self._sights.image(message))

    def state(self) -> PageState:
        log, dreams = self._log, self._log.dreams
        return PageState(
            model=self._model(dreams[-1].model_version if dreams else self._kind),
            instruction=self.instruction,
            running=Running(log.under_way, *log.progress) if log.under_way else None,
            dreams=tuple(_shown(dream) for dream in reversed(dreams)),
            reality=_reality(log),
            notes=log.notes,
        )

    def dreamed_picture(self, dream: str, sample: int, chunk: int, view: str) -> ImageArray | None:
        found = self._find(dream)
        if found is None or sample >= found.samples or chunk > found.chunks:
            return None
        return (found.imagined[sample][chunk - 1] if chunk else found.before).get(view)

    def true_picture(self, dream: str, view: str) -> ImageArray | None:
        found = self._find(dream)
        return found.check.truth.get(view) if found and found.check else None

    def ask(self, what: What, samples: int) -> str:
        return self._hand_over.ask(lambda: self._wishes.imagine(what, samples))

    def cancel(self) -> str:
        return self._hand_over.ask(self._wishes.cancel)

    def clear(self) -> str:
        return self._hand_over.ask(self._wishes.clear)

    def _find(self, key: str) -> Dream | None:
        return next((dream for dream in self._log.dreams if str(dream.number) == key), None)

    def _model(self, version: str) -> Model:
        if self.is_ready:
            return Model(version)
        return Model(problem="Nobody serves world_model/imagine. Is world_model_node up? See its log.")


class DreamPage:
    """Of one node; `serve` and `end` on its own thread."""

    def __init__(
        self, node: ManagedNode, log: DreamLog, sights: Sights, wishes: Wishes, is_ready: Callable[[], bool]
    ) -> None:
        self._node, self._is_ready = node, is_ready
        self._source = DreamSource(node, log, sights, wishes)
        self._page: Page | None = None
        self._problem: ConfigError | None = None
        node.sub(String, "instruction", self._on_instruction, qos.LATCHED)
        node.every(LOOK_S, self._look)

    def serve(self) -> None:
        """A page that cannot be served is told, and stops nobody else."""
        try:
            page = Page(self._source, self._node.cfg.page, _say)
            page.start()
        except ConfigError as error:
            self._problem = error
            self._node.get_logger().error(str(error))
            return
        self._page, self._problem = page, None

    def end(self) -> None:
        if self._page is not None:
            self._page.stop()
            self._page = None

    def diagnose(self, status: diagnostics.Status) -> None:
        if self._problem is not None:
            status.summary(diagnostics.ERROR, str(self._problem))
        # without the token: whoever reaches the graph reads this
        status.add("page", self._page.url.partition("?")[0] if self._page else "none")

    def _on_instruction(self, message: String) -> None:
        self._source.instruction = message.data

    def _look(self) -> None:
        self._source.is_ready = self._is_ready()


def _say(text: str) -> None:
    """Into the log of this process only: others may read what ROS logs, and the address may have the token."""
    print(text, flush=True)


def _shown(dream: Dream) -> ShownDream:
    return ShownDream(
        key=str(dream.number),
        title=dream.title,
        views=dream.views,
        chunks=dream.chunks,
        success=tuple(tuple(float(each) for each in sample) for sample in dream.success),
        version=dream.model_version,
        elapsed_s=dream.elapsed_s,
        has_truth=bool(dream.check and dream.check.truth),
        verdict=" · ".join(check_lines(dream.check)),
    )


def _reality(log: DreamLog) -> tuple[Reality, ...]:
    means = log.means()
    return tuple(
        Reality(view, each.psnr, means[view].psnr, each.ssim, each.changed_psnr)
        for view, each in log.last().items()
        if view in means
    )
