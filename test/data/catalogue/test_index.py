"""The episode index: what is in a folder of bags, kept up to date, whatever lies there."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.data.bags import update_custom_data
from vla_mbpo_ros.data.bags.find import find_bags, find_below
from vla_mbpo_ros.data.catalogue import index as index_module
from vla_mbpo_ros.data.catalogue import index_file
from vla_mbpo_ros.data.catalogue.entry import Entry
from vla_mbpo_ros.data.catalogue.index import EpisodeIndex, open_index
from vla_mbpo_ros.data.catalogue.index_file import NAME
from vla_mbpo_ros.data.catalogue.labels import Label, label
from vla_mbpo_ros.data.catalogue.selection import ORDERS, Wanted, parse_since, select, totals
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError, ConfigError, UnknownName

Row = tuple[str, int, bytes]  # topic, log time [ns], CDR
FACTS = EpisodeFacts(
    robot="arx_x5",
    instruction="put the cube into the bowl",
    outcome="success",
    success_time_s=6.4,
    policy_version="scripted-1",
    note="by hand",
    recorded_at="2026-11-20T10:00:00+00:00",
    software="0.1.0",
    lost={"/joint_states": 2},
)


@pytest.fixture
def episode(write_bag: Callable[..., Path], rows: list[Row]) -> Callable[..., Path]:
    """episode(path below the folder, **facts) -> the bag, an hour old, so that its time can be trusted."""

    def make(name: str, **facts: object) -> Path:
        said = replace(FACTS, **{"episode_id": Path(name).name, **facts})  # type: ignore[arg-type]
        path = write_bag(rows, f"bags/{name}", said.to_custom_data())
        age(path)
        return path

    return make


def age(path: Path, seconds: float = 3600.0) -> None:
    for file in [path] if path.is_file() else path.iterdir():
        facts = file.stat()
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns - round(seconds * 1e9)))


def known(index: EpisodeIndex) -> dict[str, Entry]:
    return {entry.path: entry for entry in index.entries}


# -- what is known ---------------------------------------------------------------------------------------------------


def test_an_episode_is_known_by_what_its_bag_says(tmp_path: Path, episode: Callable[..., Path]) -> None:
    episode("lab/one", interventions=[("human", 1.0, 2.0)])
    (entry,) = open_index(tmp_path / "bags").entries
    assert (entry.path, entry.id, entry.robot, entry.policy) == ("lab/one", "one", "arx_x5", "scripted-1")
    assert (entry.outcome, entry.success_time_s, entry.lost) == ("success", 6.4, 2)
    assert (entry.steps, entry.messages, entry.interventions) == (100, 151, 1)  # one joint state a control tick
    assert entry.length_s == pytest.approx(9.9)
    assert (entry.complete, entry.problem) == (True, "")
    assert entry.size_bytes == sum(file.stat().st_size for file in (tmp_path / "bags/lab/one").iterdir())


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, episode: Callable[..., Path]) -> None:
    for name in ("one", "two", "lab/three"):
        episode(name)
    first = open_index(tmp_path / "bags")
    again = open_index(tmp_path / "bags")
    assert (first.read, again.read) == (3, 0)
    assert again.entries == first.entries
    label(tmp_path / "bags/two", Label("failure"))
    changed = open_index(tmp_path / "bags")
    assert changed.read == 1
    assert changed.find("two").outcome == "failure"


def test_two_changes_within_one_tick_of_the_file_systems_clock_are_both_seen(
    tmp_path: Path, episode: Callable[..., Path]
) -> None:
    """success and failure have the same length, and a file system counts time in steps of up to two seconds."""
    path = episode("one")
    label(path, Label("failure"))
    before = (path / "metadata.yaml").stat()
    assert open_index(tmp_path / "bags").find("one").outcome == "failure"
    update_custom_data(path, {"outcome": "success"})
    os.utime(path / "metadata.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert open_index(tmp_path / "bags").find("one").outcome == "success"


def test_a_moved_folder_keeps_its_index(tmp_path: Path, episode: Callable[..., Path]) -> None:
    episode("one")
    before = open_index(tmp_path / "bags").entries
    (tmp_path / "bags").rename(tmp_path / "elsewhere")
    after = open_index(tmp_path / "elsewhere")
    assert after.read == 0
    assert after.entries == before
    assert after.path(after.entries[0]) == tmp_path / "elsewhere" / "one"


def test_bags_that_come_and_go_are_seen(tmp_path: Path, episode: Callable[..., Path]) -> None:
    episode("one")
    open_index(tmp_path / "bags")
    episode("two")
    shutil.rmtree(tmp_path / "bags" / "one")
    index = open_index(tmp_path / "bags")
    assert [entry.id for entry in index.entries] == ["two"]
    assert index.read == 1


def test_whatever_happens_the_kept_index_equals_one_made_anew(tmp_path: Path, episode: Callable[..., Path]) -> None:
    template = episode("template")
    template = template.rename(tmp_path / "template")
    folder = tmp_path / "bags"
    step = st.tuples(st.sampled_from(["add", "remove", "label", "cut", "list"]), st.integers(0, 3))

    @settings(max_examples=25, deadline=None)
    @given(st.lists(step, max_size=8))
    def law(steps: list[tuple[str, int]]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for number, (word, place) in enumerate(steps):
            path = folder / f"episode_{place}"
            if word == "add" and not path.exists():
                shutil.copytree(template, path)
            elif word == "remove":
                shutil.rmtree(path, ignore_errors=True)
            elif word == "label" and (path / "metadata.yaml").exists():
                label(path, Label("success" if number % 2 else "failure"))
            elif word == "cut" and path.exists():
                (path / "metadata.yaml").unlink(missing_ok=True)
            else:
                open_index(folder)
        kept = open_index(folder)
        (folder / NAME).unlink(missing_ok=True)
        strip = [replace(entry, signature=()) for entry in kept.entries]
        assert strip == [replace(entry, signature=()) for entry in open_index(folder).entries]

    law()


# -- the file of the index -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ('{"index": "vla_mbpo_ros", "version": 0}\n', "is of another version"),
        ('{"index": "vla_mbpo_ros", "version": 1}\n{"path": "one"}\n', "is damaged"),
        ('{"index": "vla_mbpo_ros", "version": 1}\n[1]\n', "is damaged"),
    ],
)
def test_a_damaged_or_old_index_is_made_anew_with_a_word(
    tmp_path: Path, episode: Callable[..., Path], text: str, words: str
) -> None:
    episode("one")
    (tmp_path / "bags" / NAME).write_text(text)
    index = open_index(tmp_path / "bags")
    assert index.read == 1
    assert words in index.warnings[0]
    assert open_index(tmp_path / "bags").warnings == ()


def test_an_entry_of_a_wrong_type_is_not_believed(tmp_path: Path, episode: Callable[..., Path]) -> None:
    episode("one")
    open_index(tmp_path / "bags")
    file = tmp_path / "bags" / NAME
    head, row = file.read_text().splitlines()
    file.write_text(f"{head}\n{json.dumps({**json.loads(row), 'length_s': 'long'})}\n")
    assert "is damaged" in open_index(tmp_path / "bags").warnings[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the next test covers what follows")
def test_a_read_only_folder_is_listed_from_memory(tmp_path: Path, episode: Callable[..., Path]) -> None:
    episode("one")
    (tmp_path / "bags").chmod(0o555)
    index = open_index(tmp_path / "bags")
    (tmp_path / "bags").chmod(0o755)
    assert "The index cannot be kept in" in index.warnings[0]


def test_where_the_index_cannot_be_kept_the_episodes_are_listed_all_the_same(
    tmp_path: Path, episode: Callable[..., Path]
) -> None:
    episode("one")
    (tmp_path / "bags" / NAME).mkdir()  # nothing can be written there
    index = open_index(tmp_path / "bags")
    assert [entry.id for entry in index.entries] == ["one"]
    assert any("The index cannot be kept in" in warning for warning in index.warnings)
    assert [path.name for path in (tmp_path / "bags").iterdir() if path.name != "one"] == [NAME]


def test_a_disk_that_is_read_only_refuses_even_to_remove_the_draft(
    tmp_path: Path, episode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    episode("one")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)  # as Linux does there, whether the file exists or not
    assert "Read-only" in index_file.save(tmp_path / "bags", [])


def test_a_bag_given_as_the_folder_is_one_episode_and_gets_no_file(
    tmp_path: Path, episode: Callable[..., Path]
) -> None:
    path = episode("one")
    index = open_index(path)
    assert [(entry.path, entry.id) for entry in index.entries] == [("", "one")]
    assert index.path(index.entries[0]) == path
    assert not (path / NAME).exists()


# -- what else lies in a folder --------------------------------------------------------------------------------------


@pytest.fixture
def mess(tmp_path: Path, episode: Callable[..., Path], write_bag: Callable[..., Path], rows: list[Row]) -> Path:
    """A folder as one finds it."""
    folder = tmp_path / "bags"
    whole = episode("good")
    shutil.copytree(whole, folder / "copy")  # says that it is "good"
    killed = episode("killed")
    (killed / "metadata.yaml").unlink()
    (killed / "killed_0.mcap").write_bytes((killed / "killed_0.mcap").read_bytes()[:-300])
    foreign = write_bag(rows, "bags/foreign")
    (folder / "alone.mcap").write_bytes((foreign / "foreign_0.mcap").read_bytes())
    (folder / "text.mcap").write_text("shopping list")
    (episode("broken") / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    (episode("headless") / "headless_0.mcap").unlink()
    update_custom_data(episode("odd"), {"lost": "[7"})
    update_custom_data(episode("strange"), {"lost": "7"})
    update_custom_data(episode("boast"), {"outcome": "great"})
    (folder / "notes.txt").write_text("nothing")
    (folder / "empty").mkdir()
    return folder


def test_everything_in_a_folder_is_a_row_or_is_named(mess: Path) -> None:
    index = open_index(mess)
    problems = {entry.path: entry.problem for entry in index.entries}
    names = ("good", "copy", "foreign", "alone.mcap", "killed", "text.mcap", "broken", "headless")
    assert set(problems) == {*names, "odd", "strange", "boast"}
    assert {name for name, problem in problems.items() if not problem} == {"good", "copy", "foreign", "alone.mcap"}
    assert "vla-mbpo bags recover" in problems["killed"]
    assert "is not an MCAP file" in problems["text.mcap"]
    assert "is not the metadata of a bag" in problems["broken"]
    assert "headless_0.mcap" in problems["headless"]
    assert "is '[7', which is not JSON" in problems["odd"]
    assert "is of another kind" in problems["strange"]
    assert "Unknown outcome 'great'" in problems["boast"]
    assert index.skipped == ("empty is empty.", "notes.txt is not a bag.")


def test_a_killed_bag_shows_what_can_be_read_of_it(mess: Path) -> None:
    entry = known(open_index(mess))["killed"]
    assert not entry.complete
    assert entry.messages > 0


def test_a_foreign_bag_is_named_by_its_folder(mess: Path) -> None:
    entries = known(open_index(mess))
    assert (entries["foreign"].id, entries["alone.mcap"].id) == ("foreign", "alone")
    assert (entries["foreign"].outcome, entries["foreign"].robot) == ("unknown", "")


def test_two_bags_with_one_id_are_both_listed_and_named(mess: Path) -> None:
    index = open_index(mess)
    assert index.warnings == ("2 bags have the id 'good': copy, good.",)
    with pytest.raises(BagError, match=r"2 bags have the id 'twin'.*Give the path"):
        replace(index, entries=tuple(replace(entry, id="twin") for entry in index.entries[:2])).find("twin")
    assert index.find("copy").path == "copy"  # a path is always clear


def test_an_unknown_episode_is_an_error_with_the_nearest_id(mess: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'foreign'"):
        open_index(mess).find("foreing")


def test_a_defect_of_a_decoder_is_a_row_too(
    tmp_path: Path, episode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    episode("one")
    episode("two")

    def fail(path: Path) -> None:
        if path.name == "one":
            raise ZeroDivisionError("a damaged file may do anything")

    real = index_module.read_entry.__globals__["open_bag"]
    monkeypatch.setitem(index_module.read_entry.__globals__, "open_bag", lambda path: fail(path) or real(path))
    entries = known(open_index(tmp_path / "bags"))
    assert "ZeroDivisionError" in entries["one"].problem
    assert entries["two"].problem == ""


def test_folders_of_bags_are_told_from_bags(tmp_path: Path, write_bag: Callable[..., Path], rows: list[Row]) -> None:
    file = write_bag(rows, "one") / "one_0.mcap"
    for name in ("renamed/old_0.mcap", "split/split_0.mcap", "split/split_1.mcap", "loose/a_0.mcap", "loose/a_1.mcap"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "data" / name)
    found = [place.path for place in find_bags(tmp_path / "data").bags]
    assert found == ["loose/a_0.mcap", "loose/a_1.mcap", "renamed", "split"]


def test_links_to_a_folder_above_do_not_lead_in_circles(tmp_path: Path, episode: Callable[..., Path]) -> None:
    episode("lab/one")
    (tmp_path / "bags/lab/up").symlink_to(tmp_path / "bags")
    (tmp_path / "bags/lab/nowhere").symlink_to(tmp_path / "gone")
    assert [entry.path for entry in open_index(tmp_path / "bags").entries] == ["lab/one"]


def test_a_folder_that_is_none_and_one_without_bags_are_errors_where_a_bag_is_needed(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="is not a folder"):
        open_index(tmp_path / "nowhere")
    assert open_index(tmp_path).entries == ()
    assert list(tmp_path.iterdir()) == []  # nothing to keep
    with pytest.raises(BagError, match="No bag is in"):
        find_below(tmp_path)


# -- choosing --------------------------------------------------------------------------------------------------------

ENTRIES = [
    Entry("a", "a", robot="arx_x5", outcome="success", instruction="Put the CUBE away", length_s=3.0, size_bytes=5),
    Entry("b", "b", robot="arx_x5", outcome="failure", instruction="open the door", length_s=9.0, lost=3),
    Entry("c", "c", robot="r1", policy="pi05-7", length_s=6.0, problem="broken", recorded_at="2026-11-20T10:00:00Z"),
    Entry("d", "d", robot="r1", policy="pi05-8", steps=9, recorded_at="2026-11-21T10:00:00+02:00"),
]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(), "abcd"),
        (Wanted(instruction="cube"), "a"),
        (Wanted(outcome="failure"), "b"),
        (Wanted(policy="PI05"), "cd"),
        (Wanted(robot="r1", policy="-8"), "d"),
        (Wanted(problems=True), "bc"),
        (Wanted(since="2026-11-21T00:00:00+00:00"), "d"),
        (Wanted(robot="nobody"), ""),
    ],
)
def test_episodes_are_chosen_by_what_is_said_of_them(wanted: Wanted, ids: str) -> None:
    assert [entry.id for entry in select(ENTRIES, wanted, "id")] == list(ids)


def test_the_newest_longest_and_largest_come_first() -> None:
    first = {order: select(ENTRIES, Wanted(), order)[0].id for order in ORDERS}
    assert (first["recorded"], first["length"], first["size"], first["lost"]) == ("d", "b", "a", "b")
    assert [entry.id for entry in select(ENTRIES, Wanted(), "length", limit=2)] == ["b", "c"]


def test_a_wrong_choice_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'success'"):
        Wanted(outcome="sucess")
    with pytest.raises(UnknownName, match="Did you mean 'length'"):
        select(ENTRIES, Wanted(), "lenght")
    with pytest.raises(ConfigError, match="'yesterday' is no time"):
        Wanted(since="yesterday")
    with pytest.raises(ConfigError, match="-1 episodes"):
        select(ENTRIES, Wanted(), limit=-1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3d", "2026-11-18T12:00"),
        ("12h", "2026-11-21T00:00"),
        ("30min", "2026-11-21T11:30"),
        ("2w", "2026-11-07T12:00"),
    ],
)
def test_an_age_is_counted_back_from_now(text: str, expected: str) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
    assert parse_since(text, now).isoformat(timespec="minutes") == f"{expected}+00:00"


@given(st.lists(st.sampled_from(ENTRIES)))
def test_totals_are_sums(entries: list[Entry]) -> None:
    sums = totals(entries)
    assert sums.episodes == len(entries)
    assert sums.hours * 3600 == pytest.approx(sum(entry.length_s for entry in entries))
    assert sums.success + sums.failure == sum(entry.outcome in ("success", "failure") for entry in entries)


# -- labels ----------------------------------------------------------------------------------------------------------


def test_a_label_changes_what_is_said_and_nothing_else(episode: Callable[..., Path]) -> None:
    path = episode("one", seed=7)
    update_custom_data(path, {"somebody": "else's words"})
    content = (path / "one_0.mcap").read_bytes()
    before, after = label(path, Label("success", success_time_s=5.0))
    assert (before.success_time_s, after.success_time_s) == (6.4, 5.0)
    assert after == replace(before, success_time_s=5.0)
    assert (path / "one_0.mcap").read_bytes() == content
    assert "else's words" in (path / "metadata.yaml").read_text()


def test_a_failure_keeps_no_time_of_success(episode: Callable[..., Path]) -> None:
    path = episode("one")
    _, after = label(path, Label("failure", note="the gripper slipped"))
    assert (after.success_time_s, after.note, after.instruction) == (None, "the gripper slipped", FACTS.instruction)
    _, again = label(path, Label("success", instruction="tidy up"))
    assert (again.success_time_s, again.note, again.instruction) == (None, "the gripper slipped", "tidy up")


def test_a_foreign_bag_can_be_labelled(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, "bags/foreign")
    label(path, Label("success", instruction="wave"))
    (entry,) = open_index(path.parent).entries
    assert (entry.outcome, entry.instruction, entry.id) == ("success", "wave", "foreign")


@pytest.mark.parametrize("time_s", [-0.1, 9.91, float("nan"), float("inf")])
def test_a_time_of_success_lies_in_the_bag(episode: Callable[..., Path], time_s: float) -> None:
    path = episode("one")
    with pytest.raises(ConfigError, match=r"is not in .* 9\.90 s long"):
        label(path, Label("success", success_time_s=time_s))


def test_labels_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'failure'"):
        Label("failur")
    with pytest.raises(ConfigError, match="does not go with 'failure'"):
        Label("failure", success_time_s=1.0)


def test_a_bag_that_was_not_closed_must_be_recovered_first(episode: Callable[..., Path]) -> None:
    path = episode("one")
    (path / "metadata.yaml").unlink()
    with pytest.raises(BagError, match="bags recover"):
        label(path, Label("success"))
