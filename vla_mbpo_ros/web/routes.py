"""What is there, and what it answers. No sockets in here.

GET  /  /page.css  …                              the page itself
GET  /state.json                                  everything in words and numbers
GET  /cameras/<camera>.jpg                        the newest picture
GET  /dreams/<dream>/<sample>/<chunk>/<view>.jpg  an imagined picture; chunk 0 is the real one that it began with
GET  /dreams/<dream>/truth/<view>.jpg             what was seen after its first chunk
POST /imagine  {"what": …, "samples": …}          /cancel {}   /clear {}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from importlib.resources import files
from threading import Lock
from typing import Any
from urllib.parse import unquote

from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.evaluation.dream_view import draw_picture, enlarged
from vla_mbpo_ros.web.answer import JPEG, KEEP_NOTHING, Answer, Refused, as_json
from vla_mbpo_ros.web.asking import read_wish
from vla_mbpo_ros.web.pictures import as_jpeg
from vla_mbpo_ros.web.source import PageSource

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_GET = "/, /state.json, /cameras/<camera>.jpg and /dreams/<dream>/<sample>/<chunk>/<view>.jpg"


class Routes:
    """Thread-safe, as the source is."""

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._static = _read_static()
        self._encoded: dict[str, tuple[int, bytes]] = {}  # camera -> stamp and JPEG of its newest frame
        self._lock = Lock()

    def get(self, path: str) -> Answer:
        parts = [unquote(part) for part in path.split("/")[1:]] or [path]
        if path in self._static:
            return self._static[path]
        if parts == ["state.json"]:
            return self._state()
        match parts[:-1], parts[-1].removesuffix(".jpg") if parts[-1].endswith(".jpg") else None:
            case ["cameras"], str(camera):
                return self._camera(camera)
            case ["dreams", dream, "truth"], str(view):
                return self._truth(dream, view)
            case ["dreams", dream, sample, chunk], str(view):
                return self._dream(dream, sample, chunk, view)
        if path in ("/imagine", "/cancel", "/clear"):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} cannot be read.", "Send a POST.")
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no {path[:80]}.", f"There are {_GET}.")

    def post(self, path: str, body: bytes) -> Answer:
        actions: Mapping[str, Callable[[], str]] = {
            "/imagine": lambda: self._source.ask(*read_wish(body)),
            "/cancel": self._source.cancel,
            "/clear": self._source.clear,
        }
        if path not in actions:
            cause = f"Nothing can be sent to {path[:80]}."
            raise Refused(HTTPStatus.NOT_FOUND, cause, f"Only to {', '.join(actions)}.")
        return as_json({"message": actions[path]()}, caching=KEEP_NOTHING)

    def _state(self) -> Answer:
        cameras = [  # stamps as text: JavaScript rounds such numbers
            {"name": name, "stamp": "" if stamp_ns is None else str(stamp_ns)}
            for name, stamp_ns in self._source.cameras().items()
        ]
        return as_json({"cameras": cameras, **_plain(asdict(self._source.state()))})

    def _camera(self, camera: str) -> Answer:
        known = self._source.cameras()
        if camera not in known:
            error = UnknownName("camera", camera[:80], known)
            raise Refused(HTTPStatus.NOT_FOUND, error.cause, error.cure)
        with self._lock:
            stamp_ns, jpeg = self._encoded.get(camera, (None, b""))
        if stamp_ns is None or stamp_ns != known[camera]:
            frame = self._source.newest_frame(camera)
            if frame is None:
                cure = "Wait for its driver, or see its diagnostics."
                raise Refused(HTTPStatus.NOT_FOUND, f"Camera '{camera}' has sent no picture yet.", cure)
            stamp_ns, jpeg = frame.stamp_ns, as_jpeg(frame.image)
            with self._lock:
                self._encoded[camera] = stamp_ns, jpeg
        return Answer(jpeg, JPEG, caching=KEEP_NOTHING, headers={"X-Stamp": str(stamp_ns)})

    def _dream(self, dream: str, sample: str, chunk: str, view: str) -> Answer:
        image = self._source.dreamed_picture(dream, _number(sample), _number(chunk), view)
        known = next((each for each in self._source.state().dreams if each.key == dream), None)
        if image is None or known is None:
            cause = f"Dream '{dream[:40]}' has no picture of '{view[:40]}', sample {sample}, after {chunk} chunks."
            raise Refused(HTTPStatus.NOT_FOUND, cause, "It may have been cleared: imagine anew.")
        if _number(chunk) == 0:
            return Answer(as_jpeg(enlarged(image)), JPEG)
        success = known.success[_number(sample)][_number(chunk) - 1]
        return Answer(as_jpeg(draw_picture(image, success, known.version)), JPEG)

    def _truth(self, dream: str, view: str) -> Answer:
        image = self._source.true_picture(dream, view)
        if image is None:
            cause = f"It is not known what '{view[:40]}' saw after dream '{dream[:40]}'."
            raise Refused(HTTPStatus.NOT_FOUND, cause, "Wait until its chunk has been executed.")
        return Answer(as_jpeg(enlarged(image)), JPEG)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise Refused(HTTPStatus.NOT_FOUND, f"'{text[:40]}' is no number of a sample or a chunk.", "Give 0 or more.")
    return int(text)


def _plain(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_static() -> dict[str, Answer]:
    """Read once: so no request ever names a file."""
    made = {}
    for file in files("vla_mbpo_ros.web").joinpath("static").iterdir():
        kind = _KINDS.get("." + file.name.rpartition(".")[2])
        if kind:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            made[path] = Answer(file.read_bytes(), f"{kind}; charset=utf-8")
    return made
