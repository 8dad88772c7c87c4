"""RLDS folders, with records made by an encoder of this file."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_episodes import picture, psnr
from PIL import Image

from vla_mbpo_ros.data.bags import BagReader
from vla_mbpo_ros.data.episodes.reader import read_episode
from vla_mbpo_ros.data.formats.rlds.read import RldsSource
from vla_mbpo_ros.data.formats.rlds.tfrecord import parse_example, read_records
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName

Run = Callable[..., Any]
FILE = "mine-train.tfrecord-00000-of-00001"
Features = dict[str, list[bytes] | list[float] | list[int]]


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def block(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def feature(values: Sequence[Any], packed: bool = True) -> bytes:
    if values and isinstance(values[0], bytes):
        return block(1, b"".join(block(1, value) for value in values))
    if values and isinstance(values[0], float):
        parts = [struct.pack("<f", value) for value in values]
        return block(2, block(1, b"".join(parts)) if packed else b"".join(b"\x0d" + part for part in parts))
    parts = [varint(value) for value in values]
    return block(3, block(1, b"".join(parts)) if packed else b"".join(b"\x08" + part for part in parts))


def example(features: Features, packed: bool = True) -> bytes:
    entries = [
        block(1, block(1, name.encode()) + block(2, feature(values, packed))) for name, values in features.items()
    ]
    return block(1, b"".join(entries))


def crc32c(data: bytes) -> int:
    """Bit by bit: slow, and unlike the one that is tested."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + struct.pack("<I", 0)


def tensor(*shape: int) -> dict[str, Any]:
    return {"tensor": {"shape": {"dimensions": [str(size) for size in shape]} if shape else {}, "dtype": "float32"}}


def image(channels: int) -> dict[str, Any]:
    return {"image": {"shape": {"dimensions": ["48", "64", str(channels)]}, "dtype": "uint8"}}


def nested(**features: Any) -> dict[str, Any]:
    return {"featuresDict": {"features": features}}


SCHEMA = nested(
    episode_metadata=nested(file_path={"text": {}}),
    steps={
        "sequence": {
            "feature": nested(
                observation=nested(image=image(3), wrist=image(3), depth=image(1), state=tensor(3), gripper=tensor()),
                action=tensor(2),
                reward=tensor(),
                language_instruction={"text": {}},
            )
        }
    },
)


def jpeg(camera: int, row: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(camera, row)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def episode(number: int, rows: int = 5) -> Features:
    return {
        "steps/observation/image": [jpeg(0, row) for row in range(rows)],
        "steps/observation/wrist": [jpeg(1, row) for row in range(rows)],
        "steps/observation/state": [number + index / 8 for index in range(rows * 3)],
        "steps/observation/gripper": [float(index % 2) for index in range(rows)],
        "steps/action": [-number - index / 8 for index in range(rows * 2)],
        "steps/reward": [0.0] * (rows - 2) + [1.0, 1.0],
        "steps/language_instruction": [f"task {number}".encode()] * rows,
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """write(episodes) -> folder of a data set."""

    def run(episodes: list[Features]) -> Path:
        folder = tmp_path / "mine" / "1.0.0"
        folder.mkdir(parents=True)
        (folder / "features.json").write_text(json.dumps(SCHEMA))
        (folder / FILE).write_bytes(b"".join(record(example(item)) for item in episodes))
        return folder

    return run


def test_episodes_become_bags_and_their_pictures_stay_the_same_files(write: Run, import_from: Run) -> None:
    report = import_from(RldsSource(write([episode(0), episode(1)]), 10.0))
    assert report.skipped == []
    read = read_episode(Path(report.moved[1].target))
    np.testing.assert_array_equal(read.state.reshape(-1), [1 + index / 8 for index in range(15)])
    np.testing.assert_array_equal(read.action.reshape(-1), [-1 - index / 8 for index in range(10)])
    assert (read.facts.instruction, read.facts.outcome, read.facts.color) == ("task 1", "success", "compressed")
    assert read.success_ns == read.times_ns[4]
    assert read.cameras == ("image", "wrist")
    assert psnr(read.image("wrist", 4), picture(1, 4)) > 33.0
    bag = BagReader(read.path)
    stored = [bag.decode(message) for message in bag.messages(["/image/color/image_raw/compressed"])]
    assert [bytes(message.data) for message in stored] == [jpeg(0, row) for row in range(5)]


def test_the_state_is_made_of_what_is_asked_for(write: Run, import_from: Run) -> None:
    folder = write([episode(0)])
    report = import_from(RldsSource(folder, 10.0, state=["state", "gripper"]))
    assert read_episode(Path(report.moved[0].target)).state.shape == (5, 4)
    with pytest.raises(UnknownName, match="Did you mean 'gripper'"):
        RldsSource(folder, 10.0, state=["griper"])


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "fewer images": ({"steps/observation/image": [jpeg(0, 0)]}, "'image' has 1 images for 5 steps"),
    "no action": ({"steps/action": []}, "It has no steps"),
    "half a row": ({"steps/action": [0.5] * 9}, "'steps/action' has 9 numbers, 2 for each step"),
    "a longer state": ({"steps/observation/state": [0.5] * 18}, "has 18 numbers, 3 for each step of 5"),
    "a NaN": ({"steps/action": [float("nan")] * 10}, "The action is nan"),
    "a torn picture": ({"steps/observation/image": [jpeg(0, 0)[:200]] * 5}, "cannot be decoded"),
    "no picture": ({"steps/observation/image": [b"GIF89a"] * 5}, "is neither JPEG nor PNG: it begins with 47494638"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_episode_is_a_named_skip(write: Run, import_from: Run, case: str) -> None:
    changes, reason = BAD[case]
    report = import_from(RldsSource(write([episode(0), {**episode(1), **changes}, episode(2)]), 10.0))
    assert [item.source for item in report.moved] == [f"{FILE}, 0", f"{FILE}, 2"]
    assert report.skipped[0][0] == f"{FILE}, 1"
    assert reason in report.skipped[0][1]


def test_what_is_before_the_cut_of_a_file_is_kept(write: Run, import_from: Run) -> None:
    folder = write([episode(0), episode(1)])
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-50])
    report = import_from(RldsSource(folder, 10.0))
    assert len(report.moved) == 1
    assert "is cut off" in report.skipped[0][1]


def test_a_file_of_something_else_is_told_by_its_checksum(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 a zip file, say, that is long enough")
    with pytest.raises(ContractError, match="is no TFRecord file"):
        list(read_records(tmp_path / FILE))


def test_a_file_that_cannot_be_opened_is_named_and_not_taken_for_a_full_disk(write: Run, import_from: Run) -> None:
    folder = write([episode(0)])
    (folder / "mine-train.tfrecord-00007-of-00008").mkdir()  # any error of the system will do
    report = import_from(RldsSource(folder, 10.0))
    assert len(report.moved) == 1
    ((source, reason),) = report.skipped
    assert "00007-of-00008" in source
    assert "cannot be read: Is a directory" in reason


def test_folders_that_are_none_are_refused(write: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no RLDS data set"):
        RldsSource(tmp_path, 10.0)
    folder = write([episode(0)])
    with pytest.raises(UnknownName, match="Unknown split 'trian'"):
        RldsSource(folder, 10.0, split="trian")
    with pytest.raises(ConfigError, match=r"--fps is 0\.0"):
        RldsSource(folder, 0.0)
    (folder / FILE).unlink()
    with pytest.raises(ConfigError, match="has no file like"):
        RldsSource(folder, 10.0)


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1),
    st.lists(st.binary(), min_size=1),
    st.booleans(),
)
def test_every_list_comes_back(whole: list[int], floats: list[float], blobs: list[bytes], packed: bool) -> None:
    found = parse_example(example({"i": whole, "f": floats, "b": blobs}, packed))
    assert found["i"].tolist() == whole  # type: ignore[union-attr]
    assert found["f"].tolist() == floats  # type: ignore[union-attr]
    assert found["b"] == blobs


@given(st.binary(max_size=200))
def test_any_bytes_are_an_example_or_a_named_error(data: bytes) -> None:
    with contextlib.suppress(ContractError):
        parse_example(data)
