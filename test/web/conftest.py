"""A real page on a free port, over a real episode of the tabletop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for tabletop_source.py, which the tests of this folder share

from tabletop_source import HORIZON, Episode, TabletopSource

from vla_mbpo_ros.config import PageConfig
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.web.page import Page
from vla_mbpo_ros.web.source import PageSource
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast


@pytest.fixture(scope="session")
def episode() -> Episode:
    return Episode()


@pytest.fixture
def source(episode: Episode) -> TabletopSource:
    return TabletopSource(episode, CopyLast(TABLETOP.camera_names, (64, 64), HORIZON))


@pytest.fixture
def said() -> list[str]:
    """What pages have said."""
    return []


@pytest.fixture
def serve(said: list[str]) -> Iterator[Callable[..., Page]]:
    """A started page; all are stopped at the end."""
    pages: list[Page] = []

    def start(source: PageSource, settings: PageConfig | None = None) -> Page:
        page = Page(source, settings or PageConfig(port=0), said.append)
        page.start()
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.stop()


@pytest.fixture
def page(serve: Callable[..., Page], source: TabletopSource) -> Page:
    return serve(source)
