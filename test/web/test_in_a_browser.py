"""The page in a real Chromium: what people see, click and are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from browser import END, HOME, NEEDED, RIGHT, Browser
from tabletop_source import CHUNKS, HORIZON, Episode, TabletopSource

from vla_mbpo_ros.config import PageConfig
from vla_mbpo_ros.web.page import Page
from vla_mbpo_ros.world_model.rivals.oracle import OracleWorld

pytest.importorskip("selenium", reason="selenium is not installed (pip's `dev` has it)")
pytestmark = NEEDED


@pytest.fixture(scope="module")
def oracle() -> Iterator[OracleWorld]:
    with OracleWorld(HORIZON, workers=1) as oracle:
        yield oracle


@pytest.fixture
def dreaming(serve: Callable[..., Page], episode: Episode, oracle: OracleWorld) -> Page:
    """A page whose dreams come true."""
    return serve(TabletopSource(episode, oracle))


def test_live_pictures_change(browser: Browser, dreaming: Page) -> None:
    browser.driver.get(dreaming.url)
    browser.wait(lambda: browser.pictures("#views img") == [64, 64])
    seen = browser.run("return document.querySelector('#views img').src")
    browser.wait(lambda: browser.run("return document.querySelector('#views img').src") != seen)
    browser.wait(lambda: browser.text("[data-camera=head] .badge") == "live")
    assert browser.text("#model") == "oracle_sim-1"
    assert browser.text("#instruction") == "“lift the red cube”"
    assert [each for each in browser.driver.get_log("browser") if each["level"] == "SEVERE"] == []


def test_a_dream_is_asked_for_seen_and_scrubbed_through(browser: Browser, dreaming: Page) -> None:
    browser.driver.get(dreaming.url)
    browser.wait(lambda: browser.is_enabled("#imagine"))
    browser.click("#imagine")
    browser.wait_for(".value", "100 %")  # from anywhere in the episode its end is three chunks away
    browser.wait(lambda: browser.pictures(".cell img") == [256] * (2 * (1 + CHUNKS + 1)))  # and what came
    browser.wait_for("#reality-table tbody", "head", "60.2", "wrist")

    browser.keys("#scrubber", END)
    browser.wait_for("#place", f"imagined, after chunk {CHUNKS}")
    browser.wait(lambda: browser.pictures("#views img") == [256, 256])
    state, border = browser.run(
        "const view = document.querySelector('[data-camera=head]');"
        "return [view.dataset.state, getComputedStyle(view.querySelector('img')).borderStyle]"
    )
    assert (state, border) == ("imagined", "dashed")
    meter = "[role=meter]"
    assert browser.run("return document.querySelector(arguments[0]).getAttribute('aria-valuenow')", meter) == "1"
    browser.keys("#scrubber", HOME)
    browser.wait(lambda: browser.text("#place") == "live" and browser.pictures("#views img") == [64, 64])

    browser.run("document.querySelectorAll('.cell')[0].click()")
    browser.wait(lambda: browser.text("#place") == "when it began")

    browser.click("#nothing")
    browser.wait_for("#about", "doing nothing")
    browser.wait_for(".value", "0 %")
    assert browser.run("return document.querySelectorAll('#tabs button').length") == 2
    browser.click("#clear")
    browser.wait_for("#about", "Nothing has been imagined yet")


def test_the_bar_follows_the_scrubber(
    browser: Browser, serve: Callable[..., Page], episode: Episode, oracle: OracleWorld
) -> None:
    """Long before the end: not done after the first chunk, done after the last."""
    source = TabletopSource(episode, oracle)
    source.stand_at = episode.end - HORIZON * CHUNKS
    browser.driver.get(serve(source).url)
    browser.wait(lambda: browser.is_enabled("#imagine"))
    browser.click("#imagine")
    browser.wait_for(".value", "100 %")
    for _ in range(2):  # from live over its beginning to the first chunk
        browser.keys("#scrubber", RIGHT)
    browser.wait_for("#place", "after chunk 1")
    assert browser.text(".value") == "0 %"
    browser.wait(lambda: browser.run("return document.querySelector('.fill').getBoundingClientRect().width") < 1)
    browser.keys("#scrubber", END)
    browser.wait_for(".value", "100 %")


def test_a_refusal_is_a_sentence_on_the_page(browser: Browser, dreaming: Page) -> None:
    browser.driver.get(dreaming.url)
    browser.wait(lambda: browser.is_enabled("#imagine"))
    browser.run("document.querySelector('#samples').value = '1000'")
    browser.click("#imagine")
    browser.wait_for("#refusal", "1000 samples were asked for.", "from 1 to 16")
    browser.run("document.querySelector('#samples').value = '2'")
    browser.click("#imagine")
    browser.wait_for("#samples-list", "Sample 2", "100 %")
    assert browser.text("#refusal") == ""


def test_while_a_model_is_loaded_the_page_says_so_and_wakes_up(
    browser: Browser, serve: Callable[..., Page], episode: Episode, oracle: OracleWorld
) -> None:
    source = TabletopSource(episode, None)
    browser.driver.get(serve(source).url)
    browser.wait_for("#model", "loading")
    browser.wait_for("#answer", "The world model is being loaded.")
    assert not browser.is_enabled("#imagine")
    source.model = oracle
    browser.wait_for("#model", "oracle_sim-1")
    browser.wait(lambda: browser.is_enabled("#imagine"))
    assert browser.text("#answer") == ""


def test_a_server_that_went_away_is_seen_and_found_again(
    browser: Browser, serve: Callable[..., Page], episode: Episode
) -> None:
    page = serve(TabletopSource(episode, None))
    browser.driver.get(page.url)
    browser.wait_for("#link", "connected")
    port = page.port
    page.stop()
    browser.wait_for("#link", "no answer")
    serve(TabletopSource(episode, None), PageConfig(port=port))
    browser.wait_for("#link", "connected")


def test_the_address_with_the_token_opens_the_page_and_leaves_the_address(
    browser: Browser, serve: Callable[..., Page], episode: Episode
) -> None:
    page = serve(TabletopSource(episode, None), PageConfig(host="0.0.0.0", port=0))
    bare = f"http://127.0.0.1:{page.port}/"
    browser.driver.get(bare)
    assert "This page needs its token." in browser.text("body")
    browser.driver.get(f"{bare}?{page.url.partition('?')[2]}")
    browser.wait(lambda: browser.pictures("#views img") == [64, 64])
    assert browser.driver.current_url == bare
    assert browser.run("return document.cookie") == ""
    browser.driver.refresh()
    browser.wait(lambda: browser.pictures("#views img") == [64, 64])


class Counting(TabletopSource):
    cancels = 0

    def cancel(self) -> str:
        self.cancels += 1
        return super().cancel()


def test_a_foreign_page_can_neither_ask_nor_look(
    browser: Browser, serve: Callable[..., Page], episode: Episode, tmp_path: Path
) -> None:
    """Also where no token is needed, and when it is served by this very machine."""
    (tmp_path / "index.html").write_text("<!doctype html><title>foreign</title>")
    source = Counting(episode, None)
    page = serve(source)
    foreign = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    Thread(target=foreign.serve_forever, daemon=True).start()
    browser.driver.get(f"http://127.0.0.1:{foreign.server_port}/")
    script = """
        const [url, done] = arguments;
        const attempt = (path, options) => fetch(url + path, options).then(() => "sent", () => "kept");
        const look = new Promise((answer) => {
          const image = Object.assign(new Image(), {onload: () => answer("seen"), onerror: () => answer("kept")});
          image.src = url + "cameras/head.jpg";
        });
        const json = new Blob(["{}"], {type: "application/json"});
        Promise.all([
          look,
          attempt("state.json", {}),
          attempt("cancel", {method: "POST", body: json}),
          attempt("cancel", {method: "POST", mode: "no-cors", body: "{}"}),
        ]).then(done);
    """
    assert browser.driver.execute_async_script(script, page.url) == ["kept"] * 4
    assert source.cancels == 0  # the last one is sent by every browser, and refused here
    foreign.shutdown()
    foreign.server_close()
    assert browser.complaints() != []  # of the browser, about the foreign page


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1200, 1000)])
def test_nothing_is_wider_than_the_window(browser: Browser, dreaming: Page, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.driver.get(dreaming.url)
    browser.wait(lambda: browser.is_enabled("#imagine"))
    browser.click("#imagine")
    browser.wait_for(".value", "100 %")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_everything_that_can_be_used_has_a_name(browser: Browser, dreaming: Page) -> None:
    browser.driver.get(dreaming.url)
    browser.wait(lambda: browser.is_enabled("#imagine"))
    browser.click("#imagine")
    browser.wait_for(".value", "100 %")
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    usable = [
        node
        for node in nodes
        if node.get("role", {}).get("value") in ("button", "slider", "spinbutton", "image", "meter")
    ]
    assert len(usable) > 15
    assert [node for node in usable if not node.get("name", {}).get("value")] == []
