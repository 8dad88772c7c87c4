"""What a browser gets: the page, the state, pictures live and imagined."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
from client import ask, imagine, post, wait
from PIL import Image
from tabletop_source import CHUNKS, HZ, Episode, TabletopSource

from vla_mbpo_ros.evaluation.dream_view import SHOWN, draw_picture, enlarged
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.web.page import Page

JPEG_ERROR = 12.0  # steps of 256: more than JPEG does to these pictures


def pixels(jpeg: bytes) -> FloatArray:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return np.asarray(picture, dtype=np.float64)


def test_the_page_and_its_parts_come_with_headers_that_keep_others_out(page: Page) -> None:
    html = ask(page, "/")
    assert html.headers["Content-Type"] == "text/html; charset=utf-8"
    parts = re.findall(r'(?:src|href)="(/[^"]+)"', html.body.decode())
    assert len(parts) == 3
    for path in ("/", *parts):
        got = ask(page, path)
        assert got.status == 200
        assert "default-src 'self'" in got.headers["Content-Security-Policy"]
        assert got.headers["X-Frame-Options"] == "DENY"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_nothing_in_the_page_comes_from_elsewhere_or_stands_inline(page: Page) -> None:
    html = ask(page, "/").body.decode()
    assert not re.search(r"https?://|<style|\sstyle=|\son\w+=", html)
    assert re.findall(r"<script[^>]*>(.*?)</script>", html) == [""]


def test_the_state_names_cameras_and_has_no_nan(page: Page, source: TabletopSource) -> None:
    before = ask(page, "/state.json").json
    assert [each["name"] for each in before["cameras"]] == ["head", "wrist"]
    assert before["model"]["version"] == "copy_last-1"
    assert before["dreams"] == []
    dream = imagine(page, samples=2)
    assert dream["success"] == [[None] * CHUNKS] * 2  # copy_last does not judge
    reality = ask(page, "/state.json").json["reality"]
    assert [each["view"] for each in reality] == ["head", "wrist"]
    assert all(each["changed_psnr_db"] < each["psnr_db"] < 60.0 for each in reality)  # where it changed it is wrong


def test_a_camera_gives_the_newest_picture_with_its_stamp(page: Page, episode: Episode) -> None:
    got = ask(page, "/cameras/wrist.jpg?stamp=1")
    assert got.headers["Content-Type"] == "image/jpeg"
    assert got.headers["Cache-Control"] == "no-store"
    tick = round(int(got.headers["X-Stamp"]) * HZ / 1e9)
    assert np.abs(pixels(got.body) - episode.images[tick][1]).mean() < JPEG_ERROR
    wait(lambda: ask(page, "/cameras/wrist.jpg").headers["X-Stamp"] != got.headers["X-Stamp"])


def test_who_has_something_already_is_not_sent_it_again(page: Page) -> None:
    dream = imagine(page)
    for path in ("/", "/page.css", f"/dreams/{dream['key']}/0/1/head.jpg"):
        got = ask(page, path)
        again = ask(page, path, If_None_Match=got.headers["ETag"])
        assert (again.status, again.body) == (304, b"")


def test_imagined_pictures_say_so_in_their_pixels_and_real_ones_do_not(page: Page, source: TabletopSource) -> None:
    """The same picture before and after: copy_last changes nothing, so all that differs is the mark."""
    dream = imagine(page)
    began, after = (pixels(ask(page, f"/dreams/{dream['key']}/0/{chunk}/head.jpg").body) for chunk in (0, CHUNKS))
    assert began.shape == (SHOWN, SHOWN, 3)
    truth = source.dreamed_picture(dream["key"], 0, 0, "head")
    assert truth is not None
    assert np.abs(began - enlarged(truth)).mean() < JPEG_ERROR
    assert np.abs(after - draw_picture(truth, np.nan, "copy_last-1")).mean() < JPEG_ERROR
    differs = np.abs(began - after).max(axis=-1) > 2 * JPEG_ERROR
    assert differs[-12:].mean() > 0.5  # the ribbon at the foot
    assert differs[:, 0].mean() > 0.5  # the frame
    assert not differs[8:-24, 8:-8].any()


def test_what_came_after_the_first_chunk_is_shown_unmarked(page: Page, source: TabletopSource) -> None:
    dream = imagine(page)
    assert dream["has_truth"]
    truth = source.true_picture(dream["key"], "wrist")
    assert truth is not None
    assert np.abs(pixels(ask(page, f"/dreams/{dream['key']}/truth/wrist.jpg").body) - enlarged(truth)).max() < 128
    other = imagine(page, what="do_nothing")
    assert not other["has_truth"]
    ask(page, f"/dreams/{other['key']}/truth/wrist.jpg").refused(404, "has been executed")


def test_a_dream_grows_can_be_cancelled_and_cleared(page: Page, source: TabletopSource) -> None:
    source.go_on.clear()
    assert "3 samples" in post(page, "/imagine", {"samples": 3}).json["message"]
    running = ask(page, "/state.json").json["running"]
    assert (running["steps_done"], running["steps_total"]) == (0, 3 * CHUNKS)
    post(page, "/cancel")
    wait(lambda: ask(page, "/state.json").json["running"] is None)
    assert ask(page, "/state.json").json["notes"][-1] == {"text": "The dream was cancelled.", "is_error": True}
    source.go_on.set()
    dream = imagine(page, what="do_nothing")
    assert dream["title"] == "doing nothing"
    path = f"/dreams/{dream['key']}/0/1/head.jpg"
    assert ask(page, path).status == 200
    post(page, "/clear")
    ask(page, path).refused(404, "cleared")


class Blind(TabletopSource):
    """Its cameras have sent nothing yet."""

    def cameras(self) -> dict[str, int | None]:
        return dict.fromkeys(super().cameras())

    def newest_frame(self, camera: str) -> None:  # type: ignore[override]
        return None


def test_before_a_camera_or_a_model_is_there_it_says_so(serve: Callable[..., Page], episode: Episode) -> None:
    page = serve(Blind(episode, None))
    state = ask(page, "/state.json").json
    assert state["model"]["loading"]
    assert state["cameras"][0] == {"name": "head", "stamp": ""}
    post(page, "/imagine").refused(409, "still being loaded", "Ask again")
    ask(page, "/cameras/head.jpg").refused(404, "no picture yet")
