"""Asks a page over a real connection, with any headers."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vla_mbpo_ros.web.page import Page

LIMIT_S = 10.0  # generous: the machine may be busy


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def refused(self, status: int, *words: str) -> None:
        """It says no with cause and cure, and names these words."""
        assert self.status == status, self.body
        assert set(self.json) == {"cause", "cure"}
        assert all(self.json.values())
        for word in words:
            assert word in f"{self.json['cause']} {self.json['cure']}"


def ask(page: Page, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Got:
    """`Content_Type` is the header Content-Type; `Host` replaces the right one, an empty one leaves it out."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=LIMIT_S)
    sent = {"Host": f"127.0.0.1:{page.port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if body is not None:
        sent.setdefault("Content-Length", str(len(body)))
    for name, value in sent.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    got = Got(response.status, dict(response.getheaders()), response.read())
    connection.close()
    return got


def post(page: Page, path: str, content: Any = None, **headers: str) -> Got:
    return ask(page, path, "POST", json.dumps(content or {}).encode(), Content_Type="application/json", **headers)


def wait(condition: Callable[[], Any]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


def imagine(page: Page, **wish: Any) -> Any:
    """The dream, once it is whole."""
    assert post(page, "/imagine", wish).status == 200
    wait(lambda: ask(page, "/state.json").json["running"] is None)
    return ask(page, "/state.json").json["dreams"][0]
