"""Does a bag have every topic of the contract, at its rate, with no gap, and is what is inside good?

Rates and gaps are taken from the stamps inside the messages, so they are in the graph's own time and do not
depend on how fast the machine was. Losses are counted by the publishers' own numbers, never guessed. Every problem
is one sentence: which topic, when (seconds since the start of the bag), how much.

    of a contract's topic      there? type? rate, gaps, early end    judge.py
    of every topic             content, clock, numbers, pictures     faults.py
    of the bag                 not closed, damaged, unknown robot    here
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.data.bags.bag import Bag
from vla_mbpo_ros.data.bags.content import CHUNK, COMMAND, JOINTS, Check, make_check
from vla_mbpo_ros.data.bags.faults import Look, find_faults, is_latched
from vla_mbpo_ros.data.bags.foreign import open_bag
from vla_mbpo_ros.data.bags.judge import TopicReport, judge
from vla_mbpo_ros.data.bags.measure import CLOCK, Measurement, Span, measure
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.robots import RobotSpec, get_robot
from vla_mbpo_ros.robots.contract import Topic
from vla_mbpo_ros.robots.settings import resolve

__all__ = ["BagReport", "TopicReport", "check_any", "check_bag", "check_topics", "full_name"]

OPTIONAL = frozenset({"estop"})  # nobody ever needs to press it
IF_ACTED = frozenset({"joint_command", "policy/action_chunk"})  # need not be there if no policy acted
_NOBODY_ACTED = "No policy acted: neither chunks nor commands are missed."
_OF_ROBOT = frozenset({JOINTS, COMMAND, CHUNK})

Watch = Callable[[int], None]  # told of bytes read


@dataclass(frozen=True)
class BagReport:
    """All promised topics, then all others."""

    path: str
    duration_s: float
    topics: tuple[TopicReport, ...]
    problems: tuple[str, ...]  # of the bag and of every topic
    notes: tuple[str, ...] = ()  # by which rules it was judged, where that is not plain

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True)
class _Rules:
    """What a bag is judged by."""

    expected: Sequence[Topic]
    in_bag: Sequence[str]  # names of the same in the bag
    optional: Collection[str]
    robot: RobotSpec | None
    simulated: bool

    def check_for(self, name: str, type_name: str) -> Check:
        """Topics of the contract that speak of joints must fit the robot; others may be of another one."""
        is_own = name in self.in_bag and type_name in _OF_ROBOT
        return make_check(type_name, self.robot if is_own else None)


def full_name(name: str, namespace: str = "") -> str:
    """As a bag names a topic of the contract."""
    if name.startswith("/"):
        return name
    return "/" + "/".join(part for part in (namespace.strip("/"), name) if part)


def check_bag(path: Path, robot: str = "", watch: Watch = lambda size: None) -> BagReport:
    """Judge a bag by the contract that it was recorded under; the bag itself says which.

    `robot` says it for a bag that does not. Without a contract no topic is missed and no rate is expected.
    """
    bag = open_bag(path)
    facts, problems, notes = _facts(bag)
    if robot and not facts.robot:
        facts = _as_if_of(get_robot(robot), bag)
    expected, more = _expected(facts)
    notes += [] if expected or more else [_no_contract(facts)]
    acted = bool(facts.policy_version)  # taken from the chunks
    notes += [_NOBODY_ACTED] if expected and not acted else []
    optional = OPTIONAL if acted else OPTIONAL | IF_ACTED
    report = _check(bag, facts, expected, optional, facts.names, watch)
    return replace(report, problems=(*problems, *more, *report.problems), notes=(*notes, *report.notes))


def check_topics(
    path: Path,
    expected: Sequence[Topic],
    namespace: str = "",
    optional: Collection[str] = OPTIONAL,
    names: Mapping[str, str] | None = None,
) -> BagReport:
    """Judge the bag at `path`. `names` maps a name of the contract to the robot's own, as `Config.topics`."""
    bag = open_bag(path)
    facts, problems, notes = _facts(bag)
    report = _check(bag, replace(facts, namespace=namespace), expected, optional, names or {}, lambda size: None)
    return replace(report, problems=(*problems, *report.problems), notes=(*notes, *report.notes))


def check_any(path: Path, robot: str = "", watch: Watch = lambda size: None) -> BagReport:
    """`check_bag` for one of many: what cannot be read at all is a report with its problem, never an error."""
    try:
        return check_bag(path, robot, watch)
    except VlaMbpoError as error:
        problem = str(error)
    except Exception as error:  # a damaged file may fail in any way of the decoders; the next bag must be checked
        problem = f"{path} cannot be read: {type(error).__name__}: {error}."
    return BagReport(str(path), 0.0, (), (problem,))


def _facts(bag: Bag) -> tuple[EpisodeFacts, list[str], list[str]]:
    """What is said of the episode, and what is wrong with that."""
    try:
        return EpisodeFacts.from_custom_data(bag.custom_data, str(bag.path)), [], []
    except VlaMbpoError as error:
        return EpisodeFacts(), [str(error)], []


def _as_if_of(robot: RobotSpec, bag: Bag) -> EpisodeFacts:
    """Facts of a foreign bag: the robot with its default rates."""
    cfg = resolve(Config(robot=robot.name))
    rates = {name: camera.hz for name, camera in cfg.cameras.items()}
    return EpisodeFacts(robot=robot.name, control_hz=cfg.control_hz, camera_hz=rates, simulated=CLOCK in bag.topics)


def _no_contract(facts: EpisodeFacts) -> str:
    why = f"'{facts.robot}' has no description here" if facts.robot else "It does not say of which robot it is"
    if facts.state_names:
        why = "It was imported with columns of its own"
    return f"{why}: its contract and rates are not known."


def _expected(facts: EpisodeFacts) -> tuple[Sequence[Topic], list[str]]:
    """The contract, and why it is not known."""
    if not facts.robot or facts.state_names:  # an imported bag names its own columns
        return (), []
    try:
        return facts.expected_topics(), []
    except VlaMbpoError as error:
        return (), [f"Its contract is not known: {error}"]
    except (KeyError, TypeError) as error:
        return (), [f"Its contract is not known: what it says of its cameras' rates is wrong ({error})."]


def _check(
    bag: Bag,
    facts: EpisodeFacts,
    expected: Sequence[Topic],
    optional: Collection[str],
    names: Mapping[str, str],
    watch: Watch,
) -> BagReport:
    in_bag = [full_name(names.get(topic.name, topic.name), facts.namespace) for topic in expected]
    rules = _Rules(expected, in_bag, optional, _robot(facts), facts.simulated or CLOCK in bag.topics)
    measured = measure(bag, in_bag, rules.check_for, watch)
    for name, count in facts.lost.items():
        if name in measured.topics:
            measured.topics[name].declared_lost = count
    reports = _judge_all(bag, rules, measured)
    problems = [] if bag.complete else ["The bag was not closed: its last moments may be missing."]
    problems += [f"It cannot be read to its end: {measured.broken}"] if measured.broken else []
    problems += [problem for report in reports for problem in report.problems]
    return BagReport(
        str(bag.path), (bag.end_ns - bag.start_ns) * 1e-9, tuple(reports), tuple(problems), _notes(rules, measured)
    )


def _robot(facts: EpisodeFacts) -> RobotSpec | None:
    """With the id that commands for this very robot carry."""
    try:
        return replace(get_robot(facts.robot), robot_id=facts.robot_id)
    except VlaMbpoError:
        return None


def _judge_all(bag: Bag, rules: _Rules, measured: Measurement) -> list[TopicReport]:
    found = measured.topics
    pairs = [(topic, found[name]) for topic, name in zip(rules.expected, rules.in_bag, strict=True)]
    span = Span.of([one for topic, one in pairs if topic.hz and topic.kind != "command"], found[CLOCK])
    look = Look(found, bag, rules.simulated)
    reports = []
    for (topic, one), name in zip(pairs, rules.in_bag, strict=True):
        report = judge(topic, one, span, bag.start_ns, topic.name in rules.optional)
        reports.append(replace(report, problems=(*report.problems, *find_faults(look, name, topic))))
    for name in bag.topics:
        if name not in rules.in_bag:
            reports.append(_other(look, name))
    return reports


def _other(look: Look, name: str) -> TopicReport:
    """A topic that no contract promises."""
    found = look.topics[name]
    lost = 0 if is_latched(look, name, None) else found.lost
    return TopicReport(name, found.type, found.count, found.hz, 0.0, 0.0, lost, tuple(find_faults(look, name, None)))


def _notes(rules: _Rules, measured: Measurement) -> tuple[str, ...]:
    notes = []
    if rules.simulated and any(found.pictures.same for found in measured.topics.values()):
        notes.append("Simulated: a still scene may be drawn equal, so the frame numbers decide what is frozen.")
    return tuple(notes)
