"""What every .msg, .srv and .action promises to its reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTERFACES = sorted(p for kind in ("msg", "srv", "action") for p in (ROOT / kind).glob(f"*.{kind}"))
FIELD = re.compile(r"^(?P<type>[\w/]+)(?P<array>\[\d*\])?\s+(?P<name>[a-z]\w*)\s*(?:#\s*(?P<comment>.+))?$")


def fields(path: Path) -> list[re.Match[str]]:
    lines = path.read_text().splitlines()
    found = [FIELD.match(line) for line in lines if line and line != "---" and not line.startswith("#")]
    return [match for match in found if match]


def test_there_are_interfaces_of_every_kind() -> None:
    assert {p.suffix for p in INTERFACES} == {".msg", ".srv", ".action"}


@pytest.mark.parametrize("path", INTERFACES, ids=lambda p: p.stem + p.suffix)
def test_an_interface_begins_by_saying_what_it_is_for(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert re.match(r"# \S.{20,}", first), f"{path.name} begins with {first!r}"


@pytest.mark.parametrize("path", INTERFACES, ids=lambda p: p.stem + p.suffix)
def test_every_field_says_what_it_is(path: Path) -> None:
    bare = [match["name"] for match in fields(path) if not match["comment"]]
    assert not bare, f"{path.name}: no comment: {', '.join(bare)}"


@pytest.mark.parametrize("path", [p for p in INTERFACES if p.suffix == ".srv"], ids=lambda p: p.stem)
def test_every_reply_says_whether_it_worked_and_why_not(path: Path) -> None:
    reply = path.read_text().partition("---")[2]
    assert re.search(r"^bool success\b", reply, re.M)
    assert re.search(r"^string message\b", reply, re.M)


def test_the_imagine_service_and_action_have_the_same_fields() -> None:
    service = (ROOT / "srv" / "Imagine.srv").read_text().split("---")
    action = (ROOT / "action" / "Imagine.action").read_text().split("---")
    without_comments = [re.sub(r"\s*#.*", "", text).split("\n") for text in (*service, *action[:2])]
    request, reply, goal, result = [[line for line in lines if line] for lines in without_comments]
    assert request == goal
    assert reply == result
