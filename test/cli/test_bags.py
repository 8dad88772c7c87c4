"""`vla-mbpo bags` as people and scripts use it, on a folder as one finds it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli.bags import VERBS
from vla_mbpo_ros.cli.bags_common import Working, size_text, span_text
from vla_mbpo_ros.data.bags import BagReader, BagWriter, update_custom_data
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.robots import get_robot

STATE, TEXT = "sensor_msgs/msg/JointState", "std_msgs/msg/String"
ROBOT = get_robot("arx_x5")
# A recorder that had joint states alone: everything else of the contract is said to be absent.
ABSENT = [
    topic.name
    for topic in EpisodeFacts(robot="arx_x5", camera_hz=dict.fromkeys(ROBOT.camera_names, 10.0)).expected_topics()
    if topic.name not in ("joint_states", "instruction")
]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session", autouse=True)
def installed_messages() -> None:
    try:
        load_definition(STATE)
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """call(verb, words …) -> exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "140")

    def run(*words: str | Path) -> tuple[int, str, str]:
        code = cli.main(["bags", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def result(answer: tuple[int, str, str]) -> dict[str, Any]:
    """The one JSON object."""
    return dict(json.loads(answer[1]))


def record(path: Path, gap: bool = False, **said: Any) -> Path:
    """Six seconds of joint states at 10 Hz, good by the contract."""
    facts = EpisodeFacts(
        episode_id=path.name,
        robot="arx_x5",
        robot_id="arx_x5",
        control_hz=10.0,
        camera_hz=dict.fromkeys(ROBOT.camera_names, 10.0),
        without=ABSENT,
        instruction="put the cube into the bowl",
    )
    states, texts = Encoder(STATE), Encoder(TEXT)
    with BagWriter(path) as bag:
        bag.add_topic("/joint_states", STATE)
        bag.add_topic("/instruction", TEXT)
        bag.write("/instruction", texts(texts.new(data=facts.instruction)), 2 * 10**18)
        for tick in range(60):
            stamp_ns = 2 * 10**18 + tick * 10**8
            message = states.new(name=list(ROBOT.names), position=[0.1] * 14, velocity=[0.0] * 14)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            if not gap or tick not in range(30, 35):
                bag.write("/joint_states", states(message), stamp_ns + 10**6, sequence=tick + 1)
        bag.close({**facts.to_custom_data(), **said})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record(tmp_path / "bags/ep_good", outcome="success", success_time_s="5.5", policy_version="scripted-1")
    record(tmp_path / "bags/lab/ep_gap", gap=True, outcome="failure", policy_version="pi05-7")
    return tmp_path / "bags"


@pytest.fixture
def mess(folder: Path) -> Path:
    """With everything that one finds among bags."""
    killed = record(folder / "killed")
    (killed / "metadata.yaml").unlink()
    (killed / "killed_0.mcap").write_bytes((killed / "killed_0.mcap").read_bytes()[:-400])
    shutil.copytree(folder / "ep_good", folder / "twin")
    (record(folder / "broken_yaml") / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    (folder / "text.mcap").write_text("shopping list")
    (folder / "notes.txt").write_text("nothing")
    (folder / "empty").mkdir()
    record(folder / "unknown_robot", robot="arx_x6")
    record(folder / "foreign", robot="")
    return folder


# -- list ------------------------------------------------------------------------------------------------------------


def test_list_shows_every_episode_and_what_they_come_to(call: Call, folder: Path) -> None:
    code, out, _ = call("list", folder)
    assert code == 0
    assert "ep_good" in out
    assert "success at 5.5 s" in out
    assert "2 episodes, 11.8 s" in out
    assert "1 of 2 succeeded: 50% [9%, 91%] (Wilson, 95 %)." in out


@pytest.mark.parametrize("columns", ["60", "80", "110", "200"])
def test_tables_fit_the_terminal(call: Call, mess: Path, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for verb in ("list", "check", "recover"):
        words = [verb, mess, "--dry-run"] if verb == "recover" else [verb, mess]
        lines = call(*words)[1].splitlines()
        assert max(map(len, lines)) <= int(columns)
        assert any("ep_good" in line or "killed" in line for line in lines)
    lines = call("info", mess / "ep_good")[1].splitlines()
    assert max(len(line) for line in lines if not line.startswith(("bag ", "files"))) <= int(columns)


def test_list_as_json_has_everything(call: Call, mess: Path) -> None:
    found = result(call("list", mess, "--json"))
    rows = {row["path"]: row for row in found["episodes"]}
    names = {"ep_good", "lab/ep_gap", "killed", "twin", "broken_yaml", "text.mcap", "unknown_robot", "foreign"}
    assert set(rows) == names
    assert {path for path, row in rows.items() if row["problem"]} == {"killed", "broken_yaml", "text.mcap"}
    assert found["warnings"] == ["2 bags have the id 'ep_good': ep_good, twin."]
    assert found["skipped"] == ["empty is empty.", "notes.txt is not a bag."]
    assert found["totals"]["episodes"] == 8
    assert found["totals"]["success_rate"] == pytest.approx(2 / 3, abs=1e-6)


def test_list_names_what_is_wrong_below_the_table(call: Call, mess: Path) -> None:
    out = call("list", mess)[1]
    assert "text.mcap: " in out
    assert "2 bags have the id 'ep_good': ep_good, twin." in out
    assert "notes.txt is not a bag." in out


def test_list_chooses_sorts_and_limits(call: Call, folder: Path) -> None:
    def ids(*words: str) -> list[str]:
        return [row["id"] for row in result(call("list", folder, "--json", *words))["episodes"]]

    assert ids("--outcome", "failure") == ["ep_gap"]
    assert ids("--policy", "SCRIPTED") == ["ep_good"]
    assert ids("--instruction", "bowl", "--sort", "id") == ["ep_gap", "ep_good"]
    assert ids("--sort", "id", "--limit", "1") == ["ep_gap"]
    assert "2 episodes (1 shown), 11.8 s" in call("list", folder, "--limit", "1")[1]
    assert ids("--robot", "galaxea") == []
    assert "None of 2 episodes fits. Robots here: arx_x5." in call("list", folder, "--robot", "galaxea")[1]


def test_list_refuses_what_it_does_not_know_with_a_suggestion(call: Call, folder: Path) -> None:
    assert call("list", folder, "--outcome", "sucess")[0::2] == (
        2,
        "error: Unknown outcome 'sucess'. Did you mean 'success'?\n",
    )
    assert "Did you mean 'length'?" in call("list", folder, "--sort", "lenght")[2]
    code, out, _ = call("list", folder / "nowhere", "--json")
    assert code == 7
    assert json.loads(out)["error"].endswith("nowhere is not a folder.")


def test_an_empty_folder_is_no_error(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("list", tmp_path)
    assert (code, out) == (0, f"No bag is in {tmp_path} or below.\n")


# -- info ------------------------------------------------------------------------------------------------------------


def test_info_tells_facts_topics_and_files(call: Call, folder: Path) -> None:
    code, out, _ = call("info", "ep_good", "--folder", folder)
    assert code == 0
    for words in ("put the cube into the bowl", "success at 5.50 s", "/joint_states", "control 10 Hz, head 10 Hz"):
        assert words in out
    found = result(call("info", folder / "ep_good", "--json"))
    topics = {topic["name"]: topic for topic in found["topics"]}
    data = [len(message.data) for message in BagReader(folder / "ep_good").messages(["/joint_states"])]
    assert topics["/joint_states"]["count"] == 60
    assert topics["/joint_states"]["size_bytes"] == sum(data)  # estimated, but all have one size
    assert topics["/joint_states"]["hz"] == pytest.approx(10.0, rel=0.02)
    assert found["facts"]["instruction"] == "put the cube into the bowl"
    assert {file["name"] for file in found["files"]} == {"ep_good_0.mcap", "metadata.yaml"}


def test_info_of_a_foreign_bag_tells_what_is_known(call: Call, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "foreign") as bag:
        bag.add_topic("/chatter", TEXT)
        bag.write("/chatter", Encoder(TEXT)(Encoder(TEXT).new(data="hello")), 10**9)
    out = call("info", tmp_path / "foreign")[1]
    assert "Nothing is said of the episode" in out
    assert "/chatter" in out


def test_an_unknown_episode_is_one_sentence_with_the_nearest(call: Call, folder: Path) -> None:
    code, _, err = call("info", "ep_godo", "--folder", folder)
    assert code == 2
    assert err == f"error: Unknown episode 'ep_godo' in {folder}. Did you mean 'ep_good'?\n"
    assert call("info", "ep_good", "--folder", folder / "nowhere")[0] == 7


# -- check -----------------------------------------------------------------------------------------------------------


def test_check_is_content_with_good_bags_only(call: Call, folder: Path) -> None:
    code, out, err = call("check", folder / "ep_good")
    assert (code, err) == (0, "")
    assert "1 of 1 bag fine." in out
    code, out, err = call("check", folder)
    assert code == 7
    assert "joint_states: a gap of 6.0 periods at 2.90 s." in " ".join(out.split())
    assert err.startswith("error: 1 of 2 bags has problems")


def test_check_goes_through_everything_and_names_each(call: Call, mess: Path) -> None:
    code, out, _ = call("check", mess, "--json")
    found = json.loads(out)
    problems = {Path(bag["path"]).name: bag["problems"] for bag in found["bags"]}
    assert code == 7
    assert (found["ok"], found["checked"]) == (False, 8)
    assert {name for name, texts in problems.items() if not texts} == {"ep_good", "twin", "foreign"}
    assert "was not closed" in problems["killed"][0]
    assert "is not an MCAP file" in problems["text.mcap"][0]
    assert "is not the metadata of a bag" in problems["broken_yaml"][0]
    assert "Unknown robot 'arx_x6'" in problems["unknown_robot"][0]


def test_check_takes_several_bags_each_once(call: Call, folder: Path) -> None:
    found = result(call("check", folder / "ep_good", folder, folder / "ep_good", "--json"))
    assert [Path(bag["path"]).name for bag in found["bags"]] == ["ep_good", "ep_gap"]


def test_a_robot_can_be_named_for_bags_that_name_none(call: Call, mess: Path) -> None:
    (bag,) = result(call("check", mess / "foreign", "--robot", "arx_x5", "--json"))["bags"]
    assert "head/color/image_raw: is not in the bag." in bag["problems"]
    assert call("check", mess, "--robot", "arx")[2] == "error: Unknown robot 'arx'. Did you mean 'arx_x5'?\n"


def test_a_path_that_is_not_there_is_an_error(call: Call, tmp_path: Path) -> None:
    code, out, err = call("check", tmp_path / "nowhere")
    assert code == 7
    assert "does not exist" in out + err
    assert "No bag is in" in call("check", tmp_path)[2]


# -- recover ---------------------------------------------------------------------------------------------------------


def test_recover_makes_whole_what_can_be_and_names_the_rest(call: Call, mess: Path) -> None:
    before = (mess / "killed" / "killed_0.mcap").read_bytes()
    dry = result(call("recover", mess, "--dry-run", "--json"))
    assert (mess / "killed" / "killed_0.mcap").read_bytes() == before
    code, out, err = call("recover", mess, "--json")
    found = json.loads(out)
    assert code == 7
    assert "error: 1 of 8 bags cannot be made whole." in err
    assert [Path(row["path"]).name for row in found["failed"]] == ["text.mcap"]
    done, foretold = ({Path(b["path"]).name for b in one["bags"] if not b["was_whole"]} for one in (found, dry))
    assert done == foretold == {"killed", "broken_yaml"}
    assert BagReader(mess / "killed").complete
    assert {row["path"]: row["problem"] for row in result(call("list", mess, "--json"))["episodes"]}["killed"] == ""
    again = result(call("recover", mess / "killed", "--json"))
    assert again["bags"][0]["was_whole"]


# -- label -----------------------------------------------------------------------------------------------------------


def test_label_changes_the_list_at_once(call: Call, folder: Path) -> None:
    call("list", folder)
    code, out, _ = call("label", "ep_gap", "success", "--success-time", "3.5", "--note", "late", "--folder", folder)
    assert code == 0
    assert "outcome failure -> success" in out
    rows = {row["id"]: row for row in result(call("list", folder, "--json"))["episodes"]}
    assert (rows["ep_gap"]["outcome"], rows["ep_gap"]["success_time_s"]) == ("success", 3.5)
    facts = EpisodeFacts.from_custom_data(BagReader(folder / "lab/ep_gap").custom_data)
    assert (facts.note, facts.instruction, facts.policy_version) == ("late", "put the cube into the bowl", "pi05-7")


def test_label_by_path_says_what_changed(call: Call, folder: Path) -> None:
    found = result(call("label", folder / "ep_good", "failure", "--json"))
    assert found["changed"] == {
        "outcome": {"before": "success", "after": "failure"},
        "success_time_s": {"before": 5.5, "after": None},
    }
    assert "says that already" in call("label", folder / "ep_good", "failure")[1]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("ep_godo", "success"), 2, "Unknown episode 'ep_godo'"),
        (("ep_good", "sucess"), 2, "Unknown outcome 'sucess'. Did you mean 'success'?"),
        (("ep_good", "failure", "--success-time", "1"), 2, "does not go with 'failure'"),
        (("ep_good", "success", "--success-time", "99"), 2, "99 s is not in"),
        (("killed", "success"), 7, "bags recover"),
        (("text", "success"), 7, "is not an MCAP file"),
    ],
)
def test_a_label_that_cannot_be_is_one_sentence(
    call: Call, mess: Path, words: tuple[str, ...], code: int, text: str
) -> None:
    answer = call("label", *words, "--folder", mess)
    assert answer[0] == code
    assert text in answer[2]
    assert "Traceback" not in answer[2]


def test_label_refuses_an_id_that_two_bags_claim(call: Call, mess: Path) -> None:
    update_custom_data(mess / "twin", {"episode_id": "ep_gap"})
    code, _, err = call("label", "ep_gap", "success", "--folder", mess)
    assert code == 7
    assert "2 bags have the id 'ep_gap'" in err


# -- the frame -------------------------------------------------------------------------------------------------------


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit, match="0"):
            cli.main(["bags", verb, "--help"])
        out = capsys.readouterr().out
        assert "--json" in out or "FORMAT" in out  # there each format explains itself


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (span_text(6.46), "6.5 s"),
        (span_text(125), "2 min 05 s"),
        (span_text(7300), "2 h 01 min"),
        (size_text(999), "999 B"),
        (size_text(67.5e6), "68 MB"),
        (size_text(1.25e9), "1.2 GB"),
    ],
)
def test_lengths_and_sizes_are_said_as_people_say_them(text: str, expected: str) -> None:
    assert text == expected


def test_patience_ends_after_two_seconds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("vla_mbpo_ros.cli.bags_common.time.monotonic", lambda: now[0])
    with Working("reading") as update:
        update(1, 10)
        assert capsys.readouterr().err == ""
        now[0] += 2.5
        update(5, 10)
        update(6, 10)
    assert capsys.readouterr().err == "reading: 50%\n"
    with Working("importing") as update:  # nobody knows how many
        now[0] += 2.5
        update(7, None)
    assert capsys.readouterr().err == "importing: 7\n"
