"""One camera's mp4: written episode by episode, read frame by frame.

Each episode is coded by itself, beginning with a key frame and without frames that look ahead, then its packets are
copied behind those that are there. So an episode that breaks off leaves no trace, and frame n is shown at n / fps.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.formats.optional import need
from vla_mbpo_ros.errors import ContractError, MissingDependency, UnknownName
from vla_mbpo_ros.schema import ImageArray

KEY_EVERY = 2  # frames, as LeRobot does: any frame is then found by decoding two
PIXELS = "yuv420p"
_BT601 = 6  # SMPTE 170M: what colour conversion takes when nothing is said, so say it
_SEEK_FRAMES = 40  # a longer way forward is shorter by way of a key frame
_CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"bf": "0", "preset": "veryfast"}),
    "av1": ("libsvtav1", {"preset": "8"}),
}
CODECS = tuple(_CODECS)


def encode(images: Iterable[ImageArray], path: Path, fps: int, codec: str, crf: int) -> int:
    """A new file; how many frames went in. Height and width must be even."""
    av = need("av")
    name, options = _codec(av, codec)
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder prints a page for each file otherwise
    try:
        return _encode(av, images, path, fps, name, {**options, "crf": str(crf), "g": str(KEY_EVERY)})
    except (av.error.FFmpegError, ValueError) as error:
        raise ContractError(f"{name} cannot code these images: {error}.", "Use --codec png.") from error


def _encode(av: Any, images: Iterable[ImageArray], path: Path, fps: int, name: str, options: dict[str, str]) -> int:
    count = 0
    with av.open(str(path), "w") as output:
        stream: Any = None
        for image in images:
            if stream is None:
                stream = _new_stream(output, name, fps, image, options)
                with _same_urgency():
                    stream.codec_context.open()
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format=PIXELS, dst_colorspace=_BT601)
            frame.pts, frame.time_base = count, Fraction(1, fps)
            output.mux(stream.encode(frame))
            count += 1
        if stream is not None:
            output.mux(stream.encode(None))
    return count


@contextlib.contextmanager
def _same_urgency() -> Iterator[None]:
    """Where it may, the AV1 encoder gives the thread that opens it, and those that it starts, real-time priority 99:
    above a robot's control, and handed on to every process that is started later."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    old = set(os.listdir("/proc/self/task"))
    try:
        yield
    finally:
        new = set(os.listdir("/proc/self/task")) - old
        for thread in (0, *map(int, new)):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(thread, *before)


def check_size(height: int, width: int) -> None:
    if height % 2 or width % 2:
        raise ContractError(
            f"Images of {width}x{height} cannot be a video: both sides must be even.", "Use --codec png."
        )


class VideoFile:
    """An mp4 that grows by whole episodes."""

    def __init__(self, path: Path, fps: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frames, self.size = 0, 0  # size in bytes of what is coded
        self._fps, self._output, self._stream = fps, need("av").open(str(path), "w"), None

    def append(self, part: Path, frames: int) -> None:
        with need("av").open(str(part)) as source:
            theirs = source.streams.video[0]
            if self._stream is None:
                self._stream = self._output.add_stream_from_template(theirs, opaque=True)
            shift = round(Fraction(self.frames, self._fps) / theirs.time_base)
            for packet in source.demux(theirs):
                if packet.dts is None:  # the end
                    continue
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, self._stream
                self.size += packet.size
                self._output.mux(packet)
        self.frames += frames

    def close(self) -> None:
        self._output.close()


class VideoReader:
    """Any frame by its number; quick when asked in order."""

    def __init__(self, path: Path, fps: float) -> None:
        av = need("av")
        self.path, self._fps = path, fps
        try:
            self._input = av.open(str(path))
            self._stream = self._input.streams.video[0]
        except (OSError, ValueError, IndexError, av.error.FFmpegError) as error:
            raise ContractError(f"{path} cannot be read as a video: {error}.", "Get the file again.") from error
        self._stream.thread_type = "AUTO"
        self._frames: Iterator[Any] = iter(())
        self._at = -1  # number of the newest frame
        self._image: ImageArray | None = None

    def __getitem__(self, number: int) -> ImageArray:
        """(H, W, 3) uint8 RGB. ContractError if the video ends before it."""
        if number == self._at and self._image is not None:
            return self._image
        if self._at < 0 or not self._at < number <= self._at + _SEEK_FRAMES:
            self._seek(number)
        frame = self._next()
        while frame is not None and self._at < number:
            frame = self._next()
        if frame is None or self._at != number:
            self._at, self._image = -1, None
            raise ContractError(f"{self.path} has no frame {number}.", "It is shorter than its rows: get it again.")
        self._image = frame.to_ndarray(format="rgb24")
        return self._image

    def close(self) -> None:
        self._input.close()

    def _seek(self, number: int) -> None:
        moment = int(Fraction(number) / Fraction(self._fps).limit_denominator(10**6) / self._stream.time_base)
        with contextlib.suppress(need("av").error.FFmpegError):  # behind the end: decoding will find nothing
            self._input.seek(max(moment, 0), stream=self._stream)
        self._frames, self._at = self._input.decode(self._stream), -1

    def _next(self) -> Any:
        """None at the end."""
        try:
            frame = next(self._frames, None)
        except need("av").error.EOFError:
            return None
        except need("av").error.FFmpegError as error:
            raise ContractError(f"{self.path} is damaged: {error}.", "Get the file again.") from error
        if frame is not None:
            self._at = round(float(frame.pts * self._stream.time_base) * self._fps)
        return frame


def _new_stream(output: Any, name: str, fps: int, image: ImageArray, options: dict[str, str]) -> Any:
    height, width = image.shape[:2]
    check_size(height, width)
    stream = output.add_stream(name, rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, PIXELS
    stream.codec_context.time_base = Fraction(1, fps)
    stream.codec_context.colorspace = _BT601
    return stream


def _codec(av: Any, codec: str) -> tuple[str, dict[str, str]]:
    if codec not in _CODECS:
        raise UnknownName("video codec", codec, _CODECS)
    name, options = _CODECS[codec]
    if name not in av.codecs_available:
        cause = f"The installed av has no encoder {name}."
        raise MissingDependency(cause, "Choose another --codec, or install av from its own wheels.")
    return name, dict(options)
