"""The cache: made once, noticed when it is old, never half made, shared by processes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vla_mbpo_ros.data.bags import update_custom_data
from vla_mbpo_ros.data.bags.foreign import open_bag
from vla_mbpo_ros.data.catalogue.labels import Label, label
from vla_mbpo_ros.data.dataset import DatasetSettings, cache, open_episodes
from vla_mbpo_ros.data.dataset.cache import Cache, CacheFull
from vla_mbpo_ros.data.dataset.synthetic import write_synthetic_bag
from vla_mbpo_ros.errors import BagError

MakeBag = Callable[..., Path]
SETTINGS = DatasetSettings(k=4)
Usage = namedtuple("Usage", "total used free")


def images_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file of images in the cache: its inode and time of change."""
    found = sorted((folder / ".cache").rglob("images/*.npy"))
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_a_second_opening_makes_nothing(folder: Path, make_bag: MakeBag, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bag()
    first = open_episodes(folder, SETTINGS).report.as_dict()
    made = images_of(folder)
    assert len(made) == 3
    monkeypatch.setattr("vla_mbpo_ros.data.dataset.cache.build_entry", lambda *words: pytest.fail("made again"))
    monkeypatch.setattr("vla_mbpo_ros.data.dataset.cache.open_bag", lambda *words: pytest.fail("read again"))
    assert open_episodes(folder, SETTINGS).report.as_dict() == first
    assert images_of(folder) == made


def test_a_new_label_counts_at_once_and_images_stay(folder: Path, make_bag: MakeBag) -> None:
    bag = make_bag()
    assert not open_episodes(folder, SETTINGS).transitions().done.any()
    made = images_of(folder)
    update_custom_data(bag, {"outcome": "success", "success_time_s": "1.0"})
    assert open_episodes(folder, SETTINGS).transitions().done.sum() == 4
    update_custom_data(bag, {"outcome": "discarded"})
    assert "Its outcome is discarded." in open_episodes(folder, SETTINGS).report.skipped.values()
    assert images_of(folder) == made


def test_a_bag_that_was_recorded_again_is_read_again(folder: Path, make_bag: MakeBag) -> None:
    bag = make_bag(seed=1)
    held = open_episodes(folder, SETTINGS).transitions()
    before = held[0].images["head"].copy()
    shutil.rmtree(bag)
    make_bag(seed=2)
    assert not np.array_equal(open_episodes(folder, SETTINGS).transitions()[0].images["head"], before)
    assert np.array_equal(held[0].images["head"], before), "who holds the old one keeps it"


def test_same_size_and_times_but_other_content_is_noticed_by_the_time_of_change(
    folder: Path, make_bag: MakeBag
) -> None:
    (file,) = make_bag().glob("*.mcap")
    open_episodes(folder, SETTINGS)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    (reason,) = open_episodes(folder, SETTINGS).report.skipped.values()
    assert "damaged" in reason


def test_a_moved_folder_and_a_copied_one_are_not_made_again(folder: Path, make_bag: MakeBag) -> None:
    make_bag("a")
    make_bag("deep/b", seed=1)
    open_episodes(folder, SETTINGS)
    made = images_of(folder)
    moved = folder.with_name("moved")
    folder.rename(moved)
    assert len(open_episodes(moved, SETTINGS).episodes) == 2
    assert images_of(moved) == made
    copied = folder.with_name("copied")
    shutil.copytree(moved, copied, copy_function=shutil.copyfile)  # new times of change
    before = images_of(copied)
    assert len(open_episodes(copied, SETTINGS).episodes) == 2
    assert images_of(copied) == before


def test_other_sizes_live_beside_one_another(folder: Path, make_bag: MakeBag) -> None:
    make_bag()
    for size in (None, (8, 8), (6, 10)):
        sample = open_episodes(folder, DatasetSettings(k=4, size=size)).transitions()[0]
        assert sample.images["head"].shape[:2] == (size or (24, 32))
    assert len(images_of(folder)) == 9


def test_the_cache_may_be_elsewhere_and_the_bags_stay_untouched(
    folder: Path, make_bag: MakeBag, tmp_path: Path
) -> None:
    bag = make_bag()
    open_episodes([bag], SETTINGS, cache=tmp_path / "elsewhere")
    assert [path.name for path in folder.iterdir()] == ["one"]
    assert list((tmp_path / "elsewhere").glob("one-*"))


def test_a_spoilt_entry_is_made_anew(folder: Path, make_bag: MakeBag) -> None:
    make_bag()
    (episode,) = open_episodes(folder, SETTINGS).episodes
    for text in ("{", json.dumps({**episode.about, "format": 99})):
        (episode.path / "episode.json").write_text(text)
        assert len(open_episodes(folder, SETTINGS).transitions()) == 20


# -- trouble while it is made --------------------------------------------------------------------------------------


SLOWLY = """
import sys, time
from pathlib import Path
from vla_mbpo_ros.data.dataset import DatasetSettings, build, open_episodes
folder, write = Path(sys.argv[1]), build.write_images
def slow(path, *words):
    if path.name == "right_wrist.npy" and "second" in str(path):
        (folder / "reached").touch()
        time.sleep(60)
    return write(path, *words)
build.write_images = slow
open_episodes(folder, DatasetSettings(k=4))
"""
COUNTED = """
import sys
from pathlib import Path
from vla_mbpo_ros.data.dataset import DatasetSettings, cache, open_episodes
built, build = [], cache.build_entry
def counted(bag, *words):
    built.append(bag)
    build(bag, *words)
cache.build_entry = counted
print(len(open_episodes(Path(sys.argv[1]), DatasetSettings(k=4)).transitions()), len(built))
"""


def start(code: str, folder: Path) -> subprocess.Popen[str]:
    """Another process."""
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)


def test_a_build_that_is_killed_is_taken_up_again(folder: Path, make_bag: MakeBag) -> None:
    make_bag("first")
    make_bag("second", seed=1)
    process = start(SLOWLY, folder)
    end = time.monotonic() + 60
    while not (folder / "reached").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    process.wait()
    made = images_of(folder)
    first = {name: state for name, state in made.items() if "/first-" in name}
    assert len(first) == 3
    episodes = open_episodes(folder, SETTINGS)
    assert [episode.id for episode in episodes.episodes] == ["first", "second"]
    assert {name: state for name, state in images_of(folder).items() if name in first} == first
    assert not list((folder / ".cache").rglob("*.new")), "nothing half made is left"


def test_two_processes_build_each_episode_once(folder: Path, make_bag: MakeBag) -> None:
    for index in range(4):
        make_bag(f"bag{index}", seed=index)
    processes = [start(COUNTED, folder) for _ in range(2)]
    found = [tuple(map(int, process.communicate(timeout=60)[0].split())) for process in processes]
    assert [count for count, _ in found] == [80, 80]
    assert sum(built for _, built in found) == 4


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    folder: Path, make_bag: MakeBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bag()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10**6))
    with pytest.raises(BagError, match="The images of 1 bags need") as caught:
        open_episodes(folder, SETTINGS)
    assert "smaller size" in caught.value.cure
    assert images_of(folder) == {}


def test_the_estimate_is_what_the_images_take(folder: Path, make_bag: MakeBag) -> None:
    bag = make_bag()
    for size in (None, (7, 9)):
        settings = DatasetSettings(k=4, size=size)
        cache = Cache(folder, settings)
        estimated = cache._estimate(bag)
        cache.open(bag)
        shape = size or (24, 32)
        assert estimated == 3 * 24 * shape[0] * shape[1] * 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_ends_it_cleanly_and_keeps_what_was_made(
    folder: Path, make_bag: MakeBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bag("first")
    make_bag("second", seed=1)
    from vla_mbpo_ros.data.dataset import build

    def full(folder: Path, *words: object) -> None:
        if "second" in str(folder):
            with Path("/dev/full").open("wb") as stream:  # the system's own error
                stream.write(b"x" * 100_000)
        save(folder, *words)  # type: ignore[arg-type]

    save = build._save
    monkeypatch.setattr(build, "_save", full)
    with pytest.raises(CacheFull, match="No space left on device"):
        open_episodes(folder, SETTINGS)
    assert {name.split("/")[2].split("-")[0] for name in images_of(folder)} == {"first"}
    monkeypatch.undo()
    assert len(open_episodes(folder, SETTINGS).episodes) == 2


def test_a_cache_that_cannot_be_made_is_refused(folder: Path, make_bag: MakeBag, tmp_path: Path) -> None:
    make_bag()
    (tmp_path / "file").touch()
    with pytest.raises(BagError, match="cannot be made"):
        open_episodes(folder, SETTINGS, cache=tmp_path / "file" / "cache")


# -- many bags, some of them bad -----------------------------------------------------------------------------------


def test_bad_bags_are_named_and_the_good_ones_are_used(folder: Path, make_bag: MakeBag) -> None:
    make_bag("good")
    make_bag("good too", seed=1)
    make_bag("twin of good", episode_id="good")
    make_bag("of nobody", robot="")
    make_bag("bad facts", camera_hz="many")
    make_bag("larger", size=(30, 40))
    make_bag("slower", control_hz=10.0)
    make_bag("no time", edit=lambda topic, row, message: None)
    (folder / "text").mkdir()
    (folder / "text" / "metadata.yaml").write_text("not: a bag")
    (folder / "empty").mkdir()
    (folder / "empty" / "x.mcap").write_bytes(b"")
    (folder / "noise").mkdir()
    (folder / "noise" / "x.mcap").write_bytes(os.urandom(5000))
    episodes = open_episodes(folder, SETTINGS)
    assert [episode.id for episode in episodes.episodes] == ["good", "good too"]
    reasons = {Path(path).relative_to(folder).as_posix(): reason for path, reason in episodes.report.skipped.items()}
    expected = {
        "twin of good": "Its id good is that of",
        "of nobody": "does not say which robot",
        "bad facts": "camera_hz",
        "larger": "cameras or size of images",
        "slower": "its control rate (10, not 15)",
        "no time": "no usable message on",
        "text": "is not the metadata of a bag",
        "empty/x.mcap": "is empty",
        "noise/x.mcap": "is not an MCAP file",
    }
    assert set(reasons) == set(expected)
    for name, words in expected.items():
        assert words in reasons[name], (name, reasons[name])
        assert "Unexpected" not in reasons[name], reasons[name]
    assert len(episodes.transitions()) == 40
    lines = episodes.report.lines()
    assert lines[0].startswith("2 episodes")
    assert sum(line.startswith("left out: /") for line in lines) == 9


def test_a_bag_without_any_picture_of_a_camera_has_no_window(folder: Path, make_bag: MakeBag) -> None:
    make_bag(edit=lambda topic, row, message: None if topic.startswith("head/") else message)
    episodes = open_episodes(folder, SETTINGS)
    assert len(episodes.transitions()) == 0
    assert episodes.report.windows_skipped["a camera has no image at their start or end"] == 20


def test_a_folder_that_is_none_and_no_bags_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="is not a folder"):
        open_episodes(tmp_path / "nowhere")
    with pytest.raises(BagError, match="No bag was given"):
        open_episodes([])
    assert open_episodes(tmp_path).report.lines()[0].startswith("0 episodes")


def test_a_list_of_bags_of_several_folders_is_one_set(tmp_path: Path) -> None:
    bags = [
        write_synthetic_bag(tmp_path / place / "bag", rows=10, outcome="failure", episode_id=place) for place in "ab"
    ]
    episodes = open_episodes(bags, SETTINGS)
    assert [episode.id for episode in episodes.episodes] == ["a", "b"]
    assert (tmp_path / ".cache").is_dir()


def test_a_file_beside_folders_of_bags_hides_none_of_them(folder: Path, make_bag: MakeBag) -> None:
    alone = make_bag("alone")
    shutil.copy(next(alone.glob("*.mcap")), folder / "copied.mcap")
    make_bag("two", seed=1)
    (folder / "old.bag").write_bytes(b"#ROSBAG V2.0")
    episodes = open_episodes(folder, SETTINGS)
    assert [episode.id for episode in episodes.episodes] == ["alone", "two"]
    reasons = {Path(path).name: reason for path, reason in episodes.report.skipped.items()}
    assert "is that of" in reasons["copied.mcap"]
    assert "bag of ROS 1" in reasons["old.bag"]


def test_a_cache_that_is_read_only_serves_and_follows_labels(
    folder: Path, make_bag: MakeBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = make_bag()
    open_episodes(folder, SETTINGS)
    label(bag, Label("success"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(cache, "replace_text", refuse)
    found = open_episodes(folder, SETTINGS)
    assert not found.report.skipped
    assert found.episodes[0].facts.outcome == "success"


def test_a_bag_of_the_older_storage_is_used_as_well(folder: Path, make_bag: MakeBag) -> None:
    path = make_bag("mcap")
    expected = open_episodes(folder, SETTINGS).transitions()[3]
    with Reader(path) as reader, Writer(folder / "sqlite", version=9) as writer:
        for connection in reader.connections:
            store = get_typestore(Stores.EMPTY)
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
            topic = writer.add_connection(connection.topic, connection.msgtype, typestore=store)
            for _, log_ns, data in reader.messages([connection]):
                writer.write(topic, log_ns, data)
        writer.set_custom_data("episode_id", "sqlite")
        for name, text in open_bag(path).custom_data.items():
            if name != "episode_id":
                writer.set_custom_data(name, text)
    episodes = open_episodes(folder, SETTINGS)
    assert [episode.id for episode in episodes.episodes] == ["mcap", "sqlite"], episodes.report.skipped
    found = episodes.transitions()[20 + 3]
    assert (found.episode_id, found.row) == ("sqlite", expected.row)
    assert np.array_equal(found.images["head"], expected.images["head"])
