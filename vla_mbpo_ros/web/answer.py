"""What goes back to a browser."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from vla_mbpo_ros.errors import VlaMbpoError

JSON = "application/json; charset=utf-8"
JPEG = "image/jpeg"
ASK_AGAIN = "no-cache"  # kept, but used only after asking whether it still holds
KEEP_NOTHING = "no-store"  # newest pictures: there is always a newer one

# On every answer. Nothing comes from elsewhere, no script stands in the page, nobody shows us inside of his own page.
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # the address may hold the token
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Answer:
    body: bytes
    kind: str = JSON
    status: HTTPStatus = HTTPStatus.OK
    caching: str = ASK_AGAIN
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Names these very bytes: who has them is not sent them again."""
        return f'"{hashlib.blake2b(self.body, digest_size=12).hexdigest()}"'


class Refused(VlaMbpoError):
    """A request that is not granted."""

    def __init__(self, status: HTTPStatus, cause: str, cure: str) -> None:
        super().__init__(cause, cure)
        self.status = status


def as_json(content: Any, status: HTTPStatus = HTTPStatus.OK, caching: str = ASK_AGAIN) -> Answer:
    return Answer(json.dumps(content, allow_nan=False).encode(), JSON, status, caching)


def as_refusal(error: VlaMbpoError) -> Answer:
    """Cause and cure. What the source says no to is a conflict with the state that it is in."""
    status = error.status if isinstance(error, Refused) else HTTPStatus.CONFLICT
    return as_json({"cause": error.cause, "cure": error.cure}, status, KEEP_NOTHING)
