"""Who is kept out, and how he is told."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from client import ask, post
from tabletop_source import TabletopSource

from vla_mbpo_ros.config import PageConfig
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.web.page import Page

EVERYWHERE = PageConfig(host="0.0.0.0", port=0)
TOKEN = "a-token-of-my-own_1"


def token_of(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query)["token"][0]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "192.168.1.7", "localhost.evil.example", "", "[::"]
)
def test_a_foreign_or_missing_host_is_refused(page: Page, host: str) -> None:
    """A foreign name may be pointed at this machine."""
    for path in ("/", "/state.json", "/cameras/head.jpg"):
        ask(page, path, Host=host).refused(403, "address")
    post(page, "/imagine", Host=host).refused(403, "address")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:9000", "[::1]:9000", "LOCALHOST:80"])
def test_a_port_that_was_forwarded_is_ours_too(page: Page, host: str) -> None:
    assert ask(page, "/state.json", Host=host).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}", ""])
def test_only_our_own_page_may_ask(page: Page, origin: str) -> None:
    """localhost and 127.0.0.1 are two origins; programs that are no browser send none."""
    got = post(page, "/imagine", Origin=origin.format(port=page.port))
    if origin:
        got.refused(403, "only our own may")
    else:
        assert got.status == 200


def test_our_own_page_may_ask(page: Page) -> None:
    assert post(page, "/imagine", Origin=f"http://127.0.0.1:{page.port}").status == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_form_of_another_page_is_refused(page: Page, source: TabletopSource, kind: str) -> None:
    ask(page, "/imagine", "POST", b"{}", Content_Type=kind).refused(415, "application/json")
    assert source.state().running is None


def test_on_loopback_no_token_is_needed_and_the_address_has_none(page: Page, said: list[str]) -> None:
    assert page.url == f"http://127.0.0.1:{page.port}/"
    assert said == [f"The page is at {page.url}"]
    assert "Set-Cookie" not in ask(page, "/").headers
    assert "Set-Cookie" not in ask(page, "/?token=").headers


def test_beyond_loopback_a_token_is_made_and_the_whole_address_told_once(
    serve: Callable[..., Page], source: TabletopSource, said: list[str]
) -> None:
    one, two = serve(source, EVERYWHERE), serve(source, EVERYWHERE)
    assert len(token_of(one)) >= 32
    assert token_of(one) != token_of(two)
    assert said == [f"The page is at {one.url}", f"The page is at {two.url}"]


@pytest.mark.parametrize("settings", [EVERYWHERE, PageConfig(port=0, token=TOKEN)], ids=["made", "set"])
def test_with_a_token_nothing_is_told_without_it(
    serve: Callable[..., Page], source: TabletopSource, settings: PageConfig
) -> None:
    page = serve(source, settings)
    for path in ("/", "/page.js", "/state.json", "/cameras/head.jpg", "/nothing"):
        ask(page, path).refused(401, "needs its token", "?token=")
        ask(page, f"{path}?token=wrong").refused(401, "The token is wrong")
        ask(page, f"{path}?token=%C3%A9%FF").refused(401, "The token is wrong")
        ask(page, path, Cookie=f"vla_mbpo_page_{page.port}=wrong").refused(401)
    for path in ("/imagine", "/cancel", "/clear"):
        post(page, path).refused(401)
    assert source.state().running is None


def test_the_token_of_the_address_becomes_a_cookie_that_scripts_cannot_read(
    serve: Callable[..., Page], source: TabletopSource
) -> None:
    page = serve(source, EVERYWHERE)
    first = ask(page, f"/?token={token_of(page)}")
    assert first.status == 200
    cookie, *attributes = first.headers["Set-Cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    for kept in (cookie, f"theirs=a b;c; {cookie}; more=1"):
        assert ask(page, "/state.json", Cookie=kept).status == 200
        assert ask(page, "/cameras/head.jpg", Cookie=kept).status == 200
        assert post(page, "/cancel", Cookie=kept).status == 200
    assert "Set-Cookie" not in ask(page, "/", Cookie=cookie).headers  # nobody else is given it


def test_beyond_loopback_a_foreign_name_is_refused_even_with_the_token(
    serve: Callable[..., Page], source: TabletopSource
) -> None:
    page = serve(source, EVERYWHERE)
    path = f"/?token={token_of(page)}"
    ask(page, path, Host="evil.example").refused(403, "address")
    for host in (
        "192.168.1.7:8765",
        "[fe80::1]",
        socket.gethostname(),
        f"{socket.gethostname()}.lab.example",
        "localhost",
    ):
        assert ask(page, path, Host=host).status == 200


@pytest.mark.parametrize("token", ["short", "x" * 129, "a token with spaces in it", "é" * 20, "semicolon;semicolon"])
def test_a_token_that_is_no_protection_is_refused_before_anybody_listens(source: TabletopSource, token: str) -> None:
    with pytest.raises(ConfigError, match=r"page\.token"):
        Page(source, PageConfig(port=0, token=token))


@pytest.mark.parametrize("host", ["", "no.such.machine.invalid", "1.2.3.4.5"])
def test_a_host_that_is_no_address_is_refused_by_name(source: TabletopSource, host: str) -> None:
    with pytest.raises(ConfigError, match=r"page\.host"):
        Page(source, PageConfig(host=host, port=0))


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_other_names_of_loopback_need_no_token(source: TabletopSource, host: str, said: list[str]) -> None:
    page = Page(source, PageConfig(host=host, port=0), said.append)
    try:
        page.start()
    except ConfigError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    assert "token" not in page.url
    page.stop()
