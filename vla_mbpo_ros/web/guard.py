"""Who may ask: only pages that we served, by an address that is ours, with the token where one is needed.

    Host      a foreign name leads here when its owner points it at this machine, to read what we may (DNS rebinding)
    Origin    a foreign page may send forms and requests to any address (CSRF)
    token     whoever reaches a page that listens beyond this machine; by the address once, then by a cookie

A page that listens on loopback is for who is on this machine and needs no token, unless one is set.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
from email.message import Message
from http import HTTPStatus

from vla_mbpo_ros.config import PageConfig
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.web.answer import Refused

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")  # what an address and a cookie carry as it is; too long to be guessed
_TOKEN_BYTES = 24


class Guard:
    def __init__(self, settings: PageConfig) -> None:
        """ConfigError for a host that is no address, and for a token that would be no protection."""
        if settings.token and not _TOKEN.fullmatch(settings.token):
            cause = "'page.token' is not 16 to 128 letters, digits, - or _."
            raise ConfigError(cause, "Give such a one, or leave it empty: one is made at every start.")
        self.is_local = _is_loopback(settings.host)
        self.token = settings.token or ("" if self.is_local else secrets.token_urlsafe(_TOKEN_BYTES))
        self._names = {"localhost", settings.host.lower()}
        self._machine = _first_word(socket.gethostname())

    def check_address(self, headers: Message) -> None:
        """Refused unless it is our own page that asks, by an address of ours."""
        hosts = headers.get_all("Host", [])
        if len(hosts) != 1 or not self._is_ours(_name(hosts[0])):
            cause = f"The address '{', '.join(hosts)}' is not one of this page."
            raise Refused(HTTPStatus.FORBIDDEN, cause, "Open it by the address that was logged when it started.")
        origin = headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
            cause = f"A page of '{origin}' asked, and only our own may."
            raise Refused(HTTPStatus.FORBIDDEN, cause, "Open this page itself.")

    def check_token(self, headers: Message, given: str, cookie: str) -> None:
        """Refused unless `given` in the address or the cookie of that name is the token."""
        if self.token and not self.is_token(given or _cookie(headers, cookie)):
            cause = "The token is wrong." if given else "This page needs its token."
            cure = "Open the full address that was logged when it started; it ends in ?token=…"
            raise Refused(HTTPStatus.UNAUTHORIZED, cause, cure)

    def is_token(self, text: str) -> bool:
        """In the same time whatever is wrong with it."""
        return bool(self.token) and hmac.compare_digest(text.encode(), self.token.encode())

    def _is_ours(self, name: str) -> bool:
        """A number is never a foreign name. Beyond loopback this machine may have any, and its own name in any network:
        there the token protects, and a browser sends the cookie of one name to no other."""
        try:
            return ipaddress.ip_address(name).is_loopback or not self.is_local
        except ValueError:
            return name in self._names or (not self.is_local and _first_word(name) == self._machine)


def _name(host: str) -> str:
    """Without the port; "[::1]:8080" is "::1"."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _first_word(name: str) -> str:
    return name.partition(".")[0].lower()


def _cookie(headers: Message, name: str) -> str:
    """Read by hand: other servers of this machine share our cookies, and one odd word of theirs must not hide ours."""
    parts = (part.strip().partition("=") for part in headers.get("Cookie", "").split(";"))
    return next((value for key, _, value in parts if key == name), "")


def _is_loopback(host: str) -> bool:
    """Whether all that the host stands for is this machine alone."""
    return all(ipaddress.ip_address(address[0]).is_loopback for _, address in resolve(host))


def resolve(host: str, port: int = 0) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """What a name or a number stands for: families and addresses."""
    try:
        found = socket.getaddrinfo(host or "-", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        cause = f"'page.host' is '{host}', which is no address of this machine: {error}."
        raise ConfigError(cause, "Give 127.0.0.1, an address of this machine, or 0.0.0.0 for all of them.") from error
    return [(family, (str(address[0]), port)) for family, _, _, _, address in found]
