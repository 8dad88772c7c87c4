"""The page of a live imagination_view_node in a real Chromium: the twin acts, copy_last takes its time."""

from __future__ import annotations

import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import END, NEEDED, Browser
from lifecycle_msgs.msg import Transition
from live_graph import LiveGraph
from rcl_interfaces.msg import Log
from slow_graph import MODEL, VIEWER, VIEWS, enter_slow_graph

pytest.importorskip("selenium", reason="selenium is not installed (pip's `dev` has it)")
pytestmark = [pytest.mark.ros, NEEDED]
SHOWN = 256  # pixels: how wide a picture of a strip is


@pytest.fixture(scope="module")
def live(enter_graph: Callable[..., LiveGraph], ready: Path) -> LiveGraph:
    own = {"wait_for": str(ready), "judges": False, "step_s": 0.06}
    return enter_slow_graph(enter_graph, own, ("page.enabled=true", "page.port=0"), act=False)


@pytest.fixture
def page(live: LiveGraph, browser: Browser) -> Browser:
    """A browser that has opened it."""
    browser.driver.get(address(live))
    browser.wait_for("#link", "connected")
    return browser


def address(live: LiveGraph) -> str:
    return str(live.until(lambda: live.shown(VIEWER, "page").startswith("http") and live.shown(VIEWER, "page"), "it"))


def look(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10.0) as answer:
        return bytes(answer.read())


def test_while_the_model_is_loaded_the_page_tells_what_it_said(page: Browser, ready: Path, live: LiveGraph) -> None:
    page.wait_for("#model", "copy_last")
    page.wait(lambda: page.is_enabled("#nothing"))
    page.click("#nothing")
    page.wait_for("#notes", "Not imagined: nothing commanded.", "still loading copy_last")
    ready.touch()
    live.until(lambda: live.shown(MODEL, "model") == "slow-configured", "the model")


def test_before_a_chunk_is_proposed_a_click_is_refused_by_a_sentence(page: Browser) -> None:
    page.wait(lambda: page.is_enabled("#imagine"))
    page.click("#imagine")
    page.wait_for("#refusal", "No chunk of this episode is known here.", "Let a policy act")


def test_the_cameras_are_live(live: LiveGraph, page: Browser) -> None:
    page.wait(lambda: page.pictures("#views img") == [64] * len(VIEWS))
    view = page.driver.find_element("css selector", "[data-camera=head] img")
    before = view.screenshot_as_png
    assert live.switch("robot/arm", True).success
    assert live.switch("executor/enable", True).success
    live.tell(live.graph.config.instruction)
    page.wait(lambda: view.screenshot_as_png != before)
    page.wait_for("[data-camera=head] .badge", "live")
    page.wait_for("#instruction", live.graph.config.instruction)


def test_a_click_imagines_the_latest_chunk_which_copy_last_does_not_judge(page: Browser) -> None:
    page.wait(lambda: page.is_enabled("#imagine"))
    page.click("#imagine")
    page.wait_for("#about", "chunk", "one chunk", "slow-configured")
    page.wait(lambda: page.pictures(".cell:not(.truth) img") == [SHOWN] * (2 * len(VIEWS)))
    assert page.text(".value") == "not judged"
    assert page.run("return document.querySelector('.fill').getBoundingClientRect().width") < 1
    page.keys("#scrubber", END)
    page.wait_for("#place", "imagined, after chunk 1")
    page.wait(lambda: page.pictures("#views img") == [SHOWN] * len(VIEWS))
    page.wait_for("#notes", "Imagined: chunk, in")


def test_of_two_wishes_the_second_is_refused_and_the_first_can_be_cancelled(page: Browser) -> None:
    page.wait(lambda: page.is_enabled("#imagine"))
    page.run("document.querySelector('#samples').value = '16'")
    page.click("#imagine")
    page.wait_for("#progress-text", "16 samples of chunk", "of 16")
    page.click("#nothing")
    page.wait_for("#refusal", "is not begun: '16 samples of chunk' is under way")
    page.wait(lambda: page.is_enabled("#cancel"))
    page.click("#cancel")
    page.wait_for("#notes", "Cancelled: 16 samples of chunk.")
    page.wait(lambda: page.run("return document.querySelector('#running').hidden"))


def test_what_came_is_shown_beside_the_dream(live: LiveGraph, page: Browser) -> None:
    """A robot that holds makes the control come true."""
    assert live.switch("robot/arm", False).success
    live.spin(0.5)  # the arm comes to rest
    page.click("#nothing")
    page.wait_for("#about", "nothing commanded")
    page.wait_for("#verdict", "head: ", "dB, SSIM")
    page.wait(lambda: page.pictures(".cell.truth img") == [SHOWN] * len(VIEWS))
    page.wait_for("#reality-table tbody", "head", "left wrist", "right wrist")
    live.until(lambda: page.run(PSNR) == [told_psnr(live, view) for view in VIEWS], "the same in diagnostics")
    assert float(told_psnr(live, "head")) > 40.0


PSNR = "return [...document.querySelectorAll('#reality-table tbody td:nth-child(2)')].map(each => each.textContent)"


def told_psnr(live: LiveGraph, view: str) -> str:
    """As the page would round it."""
    told = live.shown(VIEWER, f"{view} PSNR [dB], mean").partition(",")[0]
    return f"{float(told):.1f}" if told else ""


def test_clear_takes_the_dreams_away(page: Browser) -> None:
    page.wait(lambda: page.is_enabled("#clear"))
    page.click("#clear")
    page.wait_for("#about", "Nothing has been imagined yet")
    page.wait(lambda: not page.is_enabled("#clear"))
    page.wait_for("#notes", "Cleared.")


def test_a_port_that_is_taken_is_told_and_the_node_lives(live: LiveGraph) -> None:
    old = address(live)
    assert b"<title>" in look(old)
    assert live.transition(VIEWER, Transition.TRANSITION_DEACTIVATE)
    with pytest.raises(urllib.error.URLError):
        look(old)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        restart(live, deactivate=False, port=port)
        live.wait_until_told(VIEWER, f"cannot listen on port {port}", "0 takes a free one")
    restart(live, port=port)  # it is free now
    live.until(lambda: live.shown(VIEWER, "page") == f"http://127.0.0.1:{port}/", "the page")
    assert b"<title>" in look(address(live))
    assert live.session.processes.restarts[VIEWER] == 0


def restart(live: LiveGraph, deactivate: bool = True, **settings: str | int) -> None:
    """The page with these."""
    if deactivate:
        assert live.transition(VIEWER, Transition.TRANSITION_DEACTIVATE)
    assert live.transition(VIEWER, Transition.TRANSITION_CLEANUP)
    for name, value in settings.items():
        live.set_parameter(VIEWER, f"page.{name}", value)
    assert live.transition(VIEWER, Transition.TRANSITION_CONFIGURE)
    assert live.transition(VIEWER, Transition.TRANSITION_ACTIVATE)


def test_without_a_world_model_the_page_says_so(live: LiveGraph, page: Browser) -> None:
    page.wait(lambda: page.is_enabled("#imagine"))
    os.kill(live.session.processes.pids[MODEL], signal.SIGTERM)
    page.wait_for("#model", "no world model")
    page.wait_for("#answer", "Nobody serves world_model/imagine.", "Is world_model_node up?")
    assert not page.is_enabled("#imagine")


def test_the_token_is_told_to_who_reads_the_log_and_to_nobody_on_the_graph(live: LiveGraph) -> None:
    logged = live.listen(Log, "/rosout")
    restart(live, host="0.0.0.0")
    live.until(lambda: "?token=" in live.log(VIEWER), "the whole address in the log")
    live.until(lambda: live.shown(VIEWER, "page") == f"http://{socket.gethostname()}:{page_port(live)}/", "the page")
    assert not [log.msg for log in logged if "token" in log.msg]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        look(f"http://127.0.0.1:{page_port(live)}/")


def page_port(live: LiveGraph) -> int:
    return int(address(live).rstrip("/").rpartition(":")[2])


def test_it_ends_in_order(live: LiveGraph) -> None:
    live.stop()
    assert "Traceback" not in live.log(VIEWER)
    assert not [text for text in live.session.processes.errors if text.startswith(VIEWER)]
