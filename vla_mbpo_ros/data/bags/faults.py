"""What may be wrong with any topic, promised or not: content, clock, time going backwards, frozen cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vla_mbpo_ros.data.bags.bag import Bag
from vla_mbpo_ros.data.bags.content import FRAME_INFO, PICTURES
from vla_mbpo_ros.data.bags.frozen import Run, runs, seconds, standing
from vla_mbpo_ros.data.bags.measure import Measured
from vla_mbpo_ros.robots.contract import PACKAGE, Topic

_NS = 1e9
_MEASURED = ("sensor_msgs/", f"{PACKAGE}/")  # types that carry the time of a measurement
_CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


@dataclass(frozen=True)
class Look:
    """A bag that was measured."""

    topics: Mapping[str, Measured]  # by their names in the bag
    bag: Bag
    simulated: bool

    def at_s(self, found: Measured, place: int) -> float:
        """Seconds since the start of the bag."""
        return (found.log_ns[place] - self.bag.start_ns) / _NS


def find_faults(look: Look, name: str, topic: Topic | None) -> list[str]:
    """Sentences. `topic` is what the contract says of the topic `name`, if it says anything."""
    found = look.topics[name]
    said = topic.name if topic else name
    problems = [f"{said}: its messages cannot be read: {found.unknown}"] if found.unknown else []
    problems += found.troubles.sentences(said, look.bag.start_ns)
    if found.count and _is_regular(look, name, topic):
        problems += _clock(look, found, said) + _backwards(look, found, said)
    if found.type in PICTURES:
        problems += _frozen(look, name, found, said) + _uncounted(look, name, found, said)
    if found.type == FRAME_INFO:
        problems += _standing(look, found, said)
    if topic is None and found.lost and not is_latched(look, name, None):
        problems.append(f"{said}: {found.lost} messages are missing, by their numbers.")
    return problems


def is_latched(look: Look, name: str, topic: Topic | None) -> bool:
    """Its last message is written again at the start of a bag, with the stamp that it always had."""
    if topic is not None:
        return topic.kind == "latched"
    return name in look.bag.topics and "transient_local" in look.bag.topics[name].qos_yaml


def _is_regular(look: Look, name: str, topic: Topic | None) -> bool:
    """One sender that stamps what it measures; events such as diagnostics come from many, each with its clock."""
    if topic is not None:
        return topic.hz > 0.0
    kind = look.topics[name].type
    return kind.startswith(_MEASURED) and kind != _CAMERA_INFO and not is_latched(look, name, None)


def _clock(look: Look, found: Measured, said: str) -> list[str]:
    problems = []
    if found.count > 1 and not any(found.stamps_ns):
        return [f"{said}: all its {found.count} stamps are 0."]
    if found.other_epoch_s and not look.simulated:
        where = "behind" if found.other_epoch_s > 0 else "ahead of"
        problems.append(f"{said}: its stamps are of another clock, {abs(found.other_epoch_s):.3g} s {where} the bag's.")
    if found.jumps:
        first = found.jumps[0]
        often = "once" if len(found.jumps) == 1 else f"{len(found.jumps)} times, first"
        at_s = look.at_s(found, first.index)
        problems.append(f"{said}: its clock jumps {often} at {at_s:.2f} s by {first.size_s:+.2f} s.")
    return problems


def _backwards(look: Look, found: Measured, said: str) -> list[str]:
    places = found.backwards
    if not places:
        return []
    first = places[0]
    size_s = (found.stamps_ns[first - 1] - found.stamps_ns[first]) / _NS
    often = "once" if len(places) == 1 else f"{len(places)} times, first"
    return [f"{said}: time goes backwards {often} at {look.at_s(found, first):.2f} s by {size_s:.3f} s."]


def _frozen(look: Look, name: str, found: Measured, said: str) -> list[str]:
    """Equal pictures say nothing in a simulation; a stamp that stands still says it anywhere."""
    stamps = runs(standing(found.stamps_ns), found.log_ns)
    still = () if look.simulated else runs(found.pictures.same, found.log_ns)
    problems = [_sentence(look, found, said, "is frozen: the same picture", still, _numbers(look, name, found, still))]
    problems.append(_sentence(look, found, said, "is frozen: the same stamp", stamps))
    return [problem for problem in problems if problem]


def _standing(look: Look, found: Measured, said: str) -> list[str]:
    if len(found.frames) != found.count:  # some could not be read; that is told already
        return []
    stuck = runs(standing(found.frames), found.log_ns)
    problem = _sentence(look, found, said, "the frame number stands still", stuck)
    return [problem] if problem else []


def _sentence(look: Look, found: Measured, said: str, what: str, stuck: tuple[Run, ...], more: str = "") -> str:
    if not stuck:
        return ""
    longest = max(stuck, key=lambda run: seconds(run, found.log_ns))
    lasts_s, at_s = seconds(longest, found.log_ns), look.at_s(found, longest.first)
    often = "" if len(stuck) == 1 else f", the longest of {len(stuck)} times"
    return f"{said}: {what} for {lasts_s:.2f} s ({longest.count} messages) from {at_s:.2f} s{often}{more}."


def _numbers(look: Look, name: str, found: Measured, still: tuple[Run, ...]) -> str:
    """What the frame numbers did meanwhile."""
    numbers = _frame_numbers(look, name)
    if not still or not numbers:
        return ""
    longest = max(still, key=lambda run: seconds(run, found.log_ns))
    first, last = (numbers.get(found.stamps_ns[place]) for place in (longest.first, longest.last))
    if first is None or last is None:
        return ""
    return ", and its frame number too" if first == last else ", while its frame numbers go on"


def _uncounted(look: Look, name: str, found: Measured, said: str) -> list[str]:
    """Frames that the camera counted, between the first and the last picture that are here."""
    if found.lost or not found.count:
        return []
    here = set(found.stamps_ns)
    first, last = min(here), max(here)
    absent = sorted(stamp for stamp in _frame_numbers(look, name) if first < stamp < last and stamp not in here)
    if not absent or len(absent) == len(_frame_numbers(look, name)):
        return []
    at_s = (absent[0] - first) / _NS + look.at_s(found, 0)
    return [f"{said}: {len(absent)} pictures that its camera counted are missing, the first at {at_s:.2f} s."]


def _frame_numbers(look: Look, name: str) -> dict[int, int]:
    """Stamp -> number, from the camera's frame_info beside the pictures."""
    base, _, rest = name.rpartition("/color/")
    infos = look.topics.get(f"{base}/color/frame_info") if rest else None
    if infos is None or len(infos.frames) != infos.count:
        return {}
    return dict(zip(infos.stamps_ns, infos.frames, strict=True))
