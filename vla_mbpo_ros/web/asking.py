"""What a browser may ask for: one small JSON object.

{"what": "latest", "samples": 4}
"""

from __future__ import annotations

import json
from email.message import Message
from http import HTTPStatus
from typing import Any

from vla_mbpo_ros.errors import ContractError, UnknownName
from vla_mbpo_ros.web.answer import Refused
from vla_mbpo_ros.web.source import What

MOST_BYTES = 4096
MOST_SAMPLES = 16
_KEYS = ("what", "samples")


def check_body(headers: Message, body: bytes) -> None:
    """Refused if it is not JSON, of an unknown length, or too long."""
    kind = headers.get_content_type() if "Content-Type" in headers else "none"
    if kind != "application/json":
        # a foreign page's form cannot have this type, and its script would need our leave
        cause, cure = f"The body is of the type {kind[:40]}.", "Send Content-Type: application/json."
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, cause, cure)
    if "Transfer-Encoding" in headers or length(headers) is None:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "The body's length is not known.", "Send its Content-Length.")
    if len(body) > MOST_BYTES:
        cause = f"The body has {headers['Content-Length'][:20]} bytes."
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, cause, f"Send at most {MOST_BYTES}.")


def length(headers: Message) -> int | None:
    """Of the body, as it was announced."""
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def read_wish(body: bytes) -> tuple[What, int]:
    """What is to be imagined, and how many samples of it."""
    content = _object(body)
    for key in content:
        if key not in _KEYS:
            raise _bad(UnknownName("key", key, _KEYS, "the request"))
    what, samples = content.get("what", What.LATEST.value), content.get("samples", 1)
    if what not in [each.value for each in What]:
        raise _bad(UnknownName("wish", str(what)[:40], [each.value for each in What]))
    if type(samples) is not int or not 1 <= samples <= MOST_SAMPLES:
        cause = f"{str(samples)[:20]} samples were asked for."
        raise _bad(ContractError(cause, f"Ask for a whole number from 1 to {MOST_SAMPLES}."))
    return What(what), samples


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise _bad(ContractError(f"The body is no JSON: {error}.", 'Send {"what": "latest"}.')) from error
    if not isinstance(content, dict):
        raise _bad(ContractError("The body is no JSON object.", 'Send {"what": "latest"}.'))
    return content


def _bad(error: ContractError | UnknownName) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, error.cause, error.cure)
