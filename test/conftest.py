"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.append(str(Path(__file__).parent))  # for browser.py, which tests of two folders share

from browser import Browser

from vla_mbpo_ros.bringup.environment import environment_for
from vla_mbpo_ros.config import SOCKETS

# One thread for each test and what it starts, before anybody imports torch: many tests compare to the last bit, and two
# cores are shared with nodes and workers.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Nothing that a test starts may reach a robot, and Fast DDS reads its profile once in a process: before any test does.
environment_for(True, os.environ, SOCKETS).adopt()

# How long one example takes says something of the machine, nothing of the code.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """An empty tab; its console must have said nothing in the end."""
    chromium.driver.get_log("browser")
    yield chromium
    assert chromium.complaints() == []
    chromium.driver.get("about:blank")
