"""Images: every encoding, padding, byte order, refusals."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.images import decode_depth, decode_frame, decode_image, fill_image
from vla_mbpo_ros.schema import ImageArray


def fake(encoding: str, pixels: Any, padding: int = 0, big: int = 0) -> SimpleNamespace:
    """What a camera would send for (H, W) or (H, W, C) `pixels`, with `padding` bytes after each row."""
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=5), frame_id=""),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=big,
        step=padded.shape[1],
        data=array.array("B", padded.tobytes()),
    )


def random_rgb(height: int = 5, width: int = 7, seed: int = 0) -> ImageArray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(height=st.integers(1, 9), width=st.integers(1, 9), padding=st.integers(0, 9), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_colour_encoding_gives_the_same_rgb(height: int, width: int, padding: int, seed: int) -> None:
    rgb = random_rgb(height, width, seed)
    alpha = np.full((height, width, 1), 9, dtype=np.uint8)
    sent = {
        "rgb8": rgb,
        "bgr8": rgb[:, :, ::-1],
        "rgba8": np.concatenate([rgb, alpha], axis=2),
        "bgra8": np.concatenate([rgb[:, :, ::-1], alpha], axis=2),
    }
    for encoding, pixels in sent.items():
        np.testing.assert_array_equal(decode_image(fake(encoding, pixels, padding)), rgb)
    grey = decode_image(fake("mono8", rgb[:, :, 0], padding))
    np.testing.assert_array_equal(grey, np.repeat(rgb[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
@pytest.mark.parametrize("padding", [0, 3])
def test_decoding_copies_nothing(encoding: str, padding: int) -> None:
    channels = {"mono8": 1, "rgba8": 4, "bgra8": 4}.get(encoding, 3)
    message = fake(encoding, np.zeros((5, 7, channels), dtype=np.uint8), padding)
    image = decode_image(message)
    message.data[0] = 200
    assert 200 in image[0, 0]


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda data: np.frombuffer(data, dtype=np.uint8)])
def test_data_may_be_bytes_or_an_array(kind: Any) -> None:
    rgb = random_rgb()
    message = fake("rgb8", rgb)
    message.data = kind(message.data.tobytes())
    np.testing.assert_array_equal(decode_image(message), rgb)


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 3])
def test_depth_is_in_metres_and_nan_where_nothing_was_measured(big: int, padding: int) -> None:
    order = ">" if big else "<"
    counted = np.array([[0, 1500], [65535, 250]], dtype=f"{order}u2")
    for encoding in ("16UC1", "mono16"):
        depth = decode_depth(fake(encoding, counted, padding, big))
        np.testing.assert_allclose(depth, [[np.nan, 1.5], [65.535, 0.25]], rtol=1e-6)
    metres = np.array([[1.5, np.nan], [0.25, np.inf]], dtype=f"{order}f4")
    depth = decode_depth(fake("32FC1", metres, padding, big))
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, metres.astype(np.float32))


def test_an_image_survives_the_round_trip_and_the_message_is_used_again() -> None:
    message = fake("bgr8", np.zeros((2, 2, 3), dtype=np.uint8))
    for seed, (height, width) in enumerate(((5, 7), (4, 3), (6, 8))):
        rgb = random_rgb(height, width, seed)
        fill_image(message, rgb[:, ::-1], 1_500_000_000 * seed, "head")
        frame = decode_frame(message, number=seed)
        np.testing.assert_array_equal(frame.image, rgb[:, ::-1])
        assert (frame.stamp_ns, frame.number, message.header.frame_id) == (1_500_000_000 * seed, seed, "head")
        del frame  # a view of the message's bytes, which cannot grow while somebody looks at them


def test_a_real_message_survives_the_round_trip() -> None:
    messages = pytest.importorskip("sensor_msgs.msg", reason="sensor_msgs is not installed: run `make setup`")
    rgb, message = random_rgb(48, 64), messages.Image()
    fill_image(message, rgb, 42, "head")
    assert (message.encoding, message.step, message.header.stamp.nanosec) == ("rgb8", 192, 42)
    np.testing.assert_array_equal(decode_image(message), rgb)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 8}, "8 x 5 rgb8 has step 21 and 105 bytes"),
        ({"height": 6}, "7 x 6"),
        ({"height": 0}, "7 x 0"),
        ({"step": 20}, "step 20"),
        ({"data": array.array("B")}, "0 bytes"),
        ({"encoding": "bayer_rggb8"}, "image_proc"),
        ({"encoding": "yuv422_yuy2"}, "cv_bridge"),
        ({"encoding": "hsv"}, "Known here: rgb8, bgr8, rgba8, bgra8, mono8."),
        ({"encoding": "16UC1"}, "decode_depth"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    message = fake("rgb8", random_rgb())
    vars(message).update(change)
    with pytest.raises(ContractError) as caught:
        decode_image(message)
    assert words in str(caught.value)
    assert caught.value.cure


def test_depth_and_encoder_refuse_what_is_not_theirs() -> None:
    with pytest.raises(ContractError, match="decode_image"):
        decode_depth(fake("rgb8", random_rgb()))
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ContractError, match="uint8 RGB"):
            fill_image(fake("rgb8", random_rgb()), image, 0, "head")  # type: ignore[arg-type]
