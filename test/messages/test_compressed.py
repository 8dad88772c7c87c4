"""Compressed colour: what drivers and image_transport write, and what is refused."""

from __future__ import annotations

import io
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages import decode_compressed, encode_compressed, to_ns
from vla_mbpo_ros.schema import ImageArray


def blank() -> SimpleNamespace:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="")
    return SimpleNamespace(header=header, format="", data=b"")


def sent(pixels: Any, codec: str, text: str) -> SimpleNamespace:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, codec)
    message = blank()
    message.format, message.data = text, stream.getvalue()
    return message


def smooth(height: int = 48, width: int = 64) -> ImageArray:
    """Red grows downwards, blue to the right: JPEG keeps it, and a change of red and blue is seen."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([4 * y, np.full_like(x, 60), 3 * x], axis=2).astype(np.uint8)


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_png_comes_back_bit_for_bit(height: int, width: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for text in ("png", "rgb8; png compressed bgr8", "bgr8; png compressed bgr8"):
        np.testing.assert_array_equal(decode_compressed(sent(rgb, "PNG", text)), rgb)
    alpha = np.concatenate([rgb, np.full((height, width, 1), 9, np.uint8)], axis=2)
    np.testing.assert_array_equal(decode_compressed(sent(alpha, "PNG", "rgba8; png compressed bgra8")), rgb)


@pytest.mark.parametrize("text", ["jpeg", "jpg", "JPEG", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8"])
def test_a_jpeg_is_read_as_all_the_world_reads_it(text: str) -> None:
    image = decode_compressed(sent(smooth(), "JPEG", text))
    assert (image.shape, image.dtype) == ((48, 64, 3), np.uint8)
    assert np.abs(image.astype(int) - smooth()).mean() < 4.0


def test_what_opencv_was_given_as_rgb_has_red_and_blue_in_each_others_place() -> None:
    """OpenCV takes any matrix for BGR: it wrote the red channel as blue."""
    written = sent(smooth()[:, :, ::-1], "PNG", "bgr8; png compressed rgb8")
    np.testing.assert_array_equal(decode_compressed(written), smooth())


def test_grey_has_three_equal_channels() -> None:
    image = decode_compressed(sent(smooth()[:, :, 0], "PNG", "mono8; png compressed mono8"))
    np.testing.assert_array_equal(image, np.repeat(smooth()[:, :, :1], 3, axis=2))


def test_what_is_encoded_here_is_decoded_here_and_named_as_image_transport_names_it() -> None:
    message = encode_compressed(smooth(), 1_500_000_007, "head_optical", 95, blank)
    assert to_ns(message.header.stamp) == 1_500_000_007
    assert (message.header.frame_id, message.format) == ("head_optical", "rgb8; jpeg compressed bgr8")
    assert np.abs(decode_compressed(message).astype(int) - smooth()).mean() < 2.0


def test_a_better_quality_is_more_bytes_and_less_error() -> None:
    noisy = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    coarse, fine = (encode_compressed(noisy, 0, "", quality, blank) for quality in (10, 95))
    errors = [np.abs(decode_compressed(message).astype(int) - noisy).mean() for message in (coarse, fine)]
    assert len(coarse.data) < len(fine.data)
    assert errors[1] < errors[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not known. Known here: jpeg, png"),
        ("h264", "is not known"),
        ("rgb8; theora", "is not known"),
        ("16UC1; compressedDepth png", "is depth, not colour"),
        ("16UC1; png compressed ", "is depth, not colour"),
        ("png", "is a JPEG"),
    ],
)
def test_a_format_that_is_not_known_or_not_true_is_named(text: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        decode_compressed(sent(smooth(), "JPEG", text))


def test_sixteen_bits_are_refused() -> None:
    with pytest.raises(ContractError, match="more than 8 bits"):
        decode_compressed(sent(np.full((4, 4), 3000, np.uint16), "PNG", "png"))


@pytest.mark.parametrize("codec", ["JPEG", "PNG"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_broken_data_is_an_error_of_our_tree_and_never_another(codec: str, data: st.DataObject) -> None:
    whole = bytearray(sent(smooth(), codec, codec.lower()).data)
    message = blank()
    message.format = codec.lower()
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    message.data = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with suppress(ContractError):
        assert decode_compressed(message).ndim == 3


@pytest.mark.parametrize("codec", ["JPEG", "PNG"])
def test_an_image_that_was_cut_off_is_refused(codec: str) -> None:
    message = sent(smooth(), codec, codec.lower())
    message.data = message.data[: len(message.data) // 2]
    with pytest.raises(ContractError, match="cannot be decoded"):
        decode_compressed(message)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_only_rgb_of_eight_bits_is_encoded(wrong: Any) -> None:
    with pytest.raises(ContractError, match="uint8 RGB"):
        encode_compressed(wrong, 0, "", 80, blank)


@pytest.mark.parametrize("quality", [0, 101, -3])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(ContractError, match=f"{quality} is no JPEG quality"):
        encode_compressed(smooth(), 0, "", quality, blank)
