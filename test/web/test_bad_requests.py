"""Whatever is sent: a sentence comes back, and the page lives on."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import LIMIT_S, ask, post, wait
from tabletop_source import Episode, TabletopSource

from vla_mbpo_ros.config import PageConfig
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.schema import Frame
from vla_mbpo_ros.web.asking import MOST_BYTES
from vla_mbpo_ros.web.page import MOST_CONNECTIONS, Page


@pytest.mark.parametrize("samples", [1000, 17, 0, -1, 1.0, "4", True, None, [1], 10**400])
def test_only_a_few_samples_can_be_asked_for(page: Page, source: TabletopSource, samples: object) -> None:
    post(page, "/imagine", {"samples": samples}).refused(400, "from 1 to 16")
    assert source.state().running is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"what": "latst"}, "Did you mean 'latest'"),
        ({"what": 5}, "Known: do_nothing, latest"),
        ({"sampels": 2}, "Did you mean 'samples'"),
        ([1, 2], "no JSON object"),
        ("latest", "no JSON object"),
    ],
)
def test_a_wish_that_is_not_known_is_refused_with_the_nearest(page: Page, body: object, words: str) -> None:
    post(page, "/imagine", body).refused(400, words)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * MOST_BYTES, b'{"samples": NaN}', b"{}" * 9])
def test_what_is_no_json_is_refused(page: Page, body: bytes) -> None:
    ask(page, "/imagine", "POST", body, Content_Type="application/json").refused(400)


@pytest.mark.parametrize("length", [MOST_BYTES + 1, 10_000, 1_000_000])
def test_a_long_body_is_refused(page: Page, source: TabletopSource, length: int) -> None:
    body = json.dumps({"what": "x" * length}).encode()
    ask(page, "/imagine", "POST", body, Content_Type="application/json").refused(413, str(len(body)), "at most 4096")
    assert source.state().running is None


def test_a_body_without_end_is_not_read_to_its_end(page: Page) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", page.port), LIMIT_S) as connection:
        connection.sendall(b"POST /imagine HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
        with contextlib.suppress(OSError):
            while sent < 1 << 26:
                sent += connection.send(bytes(1 << 16))
    assert sent < 1 << 25  # a megabyte, and what the system's buffers hold
    assert ask(page, "/state.json").status == 200


@pytest.mark.parametrize("length", ["", "-1", "many", "1e3", "9" * 30])
def test_a_body_of_unknown_length_is_refused(page: Page, length: str) -> None:
    headers = {"Content_Type": "application/json", "Content_Length": length or "-"}
    ask(page, "/imagine", "POST", None, **headers).refused(411, "Content-Length")


@pytest.mark.parametrize(
    "path",
    [
        "/cameras/haed.jpg",
        "/cameras/../../etc/passwd.jpg",
        "/cameras/..%2f..%2fetc%2fpasswd.jpg",
        "/../page.py",
        "/static/page.js",
        "/page.py",
        "/__init__.py",
        "//evil.example/",
        "*",
        "http://evil.example/page.js",
        "/dreams/none/0/1/head.jpg",
        "/dreams/none/-1/1/head.jpg",
        "/dreams/none/0/99999999999999999999/head.jpg",
        "/dreams/none/0/1/head.png",
        "/" + "x" * 5000,
    ],
)
def test_what_is_not_there_is_not_found(page: Page, path: str) -> None:
    ask(page, path).refused(404)
    post(page, path).refused(404)


def test_an_unknown_camera_is_answered_with_the_nearest(page: Page) -> None:
    ask(page, "/cameras/haed.jpg").refused(404, "Did you mean 'head'")


def test_what_can_only_be_sent_cannot_be_read(page: Page, source: TabletopSource) -> None:
    ask(page, "/imagine").refused(405, "POST")
    assert source.state().running is None


@pytest.mark.parametrize(
    ("line", "begin"),
    [(b"hello", b'{"cause"'), (b"BREW / HTTP/1.1", b"HTTP/1.1 501 "), (b"HEAD / HTTP/1.1", b"HTTP/1.1 501 ")],
)
def test_what_is_no_http_of_ours_gets_a_sentence_too(page: Page, line: bytes, begin: bytes) -> None:
    with socket.create_connection(("127.0.0.1", page.port), LIMIT_S) as connection:
        connection.sendall(line + b"\r\nHost: localhost\r\n\r\n")
        with connection.makefile("rb") as stream:
            answer = stream.read()
    assert answer.startswith(begin)
    assert json.loads(answer.rpartition(b"\r\n")[2])["cure"]


def test_two_who_ask_at_once_get_one_dream_and_one_sentence(page: Page, source: TabletopSource) -> None:
    source.go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: post(page, "/imagine"), range(2))
    granted, refused = sorted((first, second), key=lambda got: got.status)
    assert granted.status == 200
    refused.refused(409, "under way", "cancel")
    source.go_on.set()
    wait(lambda: ask(page, "/state.json").json["running"] is None)
    assert len(ask(page, "/state.json").json["dreams"]) == 1


class Broken(TabletopSource):
    """Its wrist camera has a defect."""

    def newest_frame(self, camera: str) -> Frame:
        if camera == "wrist":
            raise ZeroDivisionError("no light")
        return super().newest_frame(camera)


def test_a_source_that_fails_is_told_to_who_asked_and_logged_once(
    serve: Callable[..., Page], episode: Episode, said: list[str]
) -> None:
    page = serve(Broken(episode, None))
    for _ in range(3):
        ask(page, "/cameras/wrist.jpg").refused(500, "ZeroDivisionError: no light")
    assert [text for text in said if "no light" in text] == [
        "/cameras/wrist.jpg: What stands behind the page failed: ZeroDivisionError: no light."
    ]
    assert ask(page, "/cameras/head.jpg").status == 200


def test_who_says_nothing_keeps_nobody_waiting_and_too_many_are_turned_away(page: Page) -> None:
    silent = [socket.create_connection(("127.0.0.1", page.port), LIMIT_S) for _ in range(MOST_CONNECTIONS - 1)]
    assert ask(page, "/state.json").status == 200
    silent.append(socket.create_connection(("127.0.0.1", page.port), LIMIT_S))
    with socket.create_connection(("127.0.0.1", page.port), LIMIT_S) as late:
        assert late.recv(1) == b""  # hung up at once
    for connection in silent:
        connection.close()

    def has_room() -> bool:
        try:
            return ask(page, "/state.json").status == 200
        except OSError:
            return False

    wait(has_room)


def test_after_stop_the_port_is_free_and_nobody_is_answered(serve: Callable[..., Page], source: TabletopSource) -> None:
    page = serve(source)
    port = page.port
    with socket.create_connection(("127.0.0.1", port), LIMIT_S) as kept:
        kept.sendall(b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept.recv(12) == b"HTTP/1.1 200"
        page.stop()
        page.stop()
        while kept.recv(1 << 16):
            pass  # what was under way; then the end
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), LIMIT_S)
    again = serve(source, PageConfig(port=port))
    assert ask(again, "/state.json").status == 200


def test_a_port_that_is_taken_is_named(page: Page, source: TabletopSource) -> None:
    with pytest.raises(ConfigError, match=rf"port {page.port} of 127\.0\.0\.1.*`page\.port`"):
        Page(source, PageConfig(port=page.port)).start()
