"""The whole set: every bag of a folder opened, judged, split, and offered as transitions or as labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.data.dataset.cache import Cache, CacheFull
from vla_mbpo_ros.data.dataset.cached_episode import CachedEpisode
from vla_mbpo_ros.data.dataset.folder import resolve
from vla_mbpo_ros.data.dataset.report import DatasetReport
from vla_mbpo_ros.data.dataset.rewards import RewardSamples
from vla_mbpo_ros.data.dataset.settings import LABELLED, DatasetSettings
from vla_mbpo_ros.data.dataset.splits import split_of
from vla_mbpo_ros.data.dataset.statistics import Statistics, gather
from vla_mbpo_ros.data.dataset.transitions import Transitions
from vla_mbpo_ros.errors import BagError, UnknownName, VlaMbpoError

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass
class EpisodeSet:
    """Episodes that fit together, in the order of their ids."""

    settings: DatasetSettings
    episodes: tuple[CachedEpisode, ...]
    report: DatasetReport = field(default_factory=DatasetReport)

    def transitions(self, split: str = "") -> Transitions:
        """All, or those of one split."""
        return Transitions(self._of(split), self.settings)

    def reward_samples(self, split: str = "", before_s: float = 0.0, after_s: float = 0.0) -> RewardSamples:
        """Images labelled by the time of success, without those from `before_s` before it to `after_s` after it."""
        episodes = [episode for episode in self._of(split) if episode.facts.outcome in LABELLED]
        return RewardSamples(tuple(episodes), before_s, after_s, self.settings.stride)

    def statistics(self, split: str = "train") -> Statistics:
        """Over the rows of one split."""
        episodes = self._of(split)
        if not episodes:
            raise BagError(f"The split '{split}' has no episode.", "Record more, or change the shares of the splits.")
        return gather(episodes)

    def _of(self, split: str) -> tuple[CachedEpisode, ...]:
        if split and split not in self.settings.splits:
            raise UnknownName("split", split, self.settings.splits)
        return tuple(episode for episode in self.episodes if not split or self.report.used[episode.id] == split)


def open_episodes(
    source: Path | str | Sequence[Path | str],
    settings: DatasetSettings | None = None,
    cache: Path | None = None,
    progress: bool = False,
) -> EpisodeSet:
    """Of a folder of bags, or of the bags given. What is not in the cache yet is made, with a bar if asked for.

    A bag that cannot be used is skipped, and `report` says why. BagError only if the disk is too small.
    """
    settings = settings or DatasetSettings()
    root, bags = resolve(source)
    store, report = Cache(root, settings, cache), DatasetReport()
    opened = _open_all(store, bags, report, progress)
    episodes = _fitting(_unique(_wanted(opened, settings, report), report), report)
    episodes = tuple(sorted(episodes, key=lambda episode: episode.id))
    for episode in episodes:
        report.used[episode.id] = split_of(episode.id, settings.splits)
        report.rows += len(episode.times_ns)
        report.rows_skipped.update(episode.about["skipped"])
    found = EpisodeSet(settings, episodes, report)
    windows = found.transitions()
    report.windows, report.windows_skipped = len(windows), windows.skipped
    report.without_success = windows.without_success
    return found


def _open_all(store: Cache, bags: Sequence[Path], report: DatasetReport, progress: bool) -> list[CachedEpisode]:
    missing = [bag for bag in bags if not store.is_ready(bag)]
    store.check_disk(missing)
    opened = []
    with _bar(progress and bool(missing), len(bags)) as advance:
        for bag in bags:
            episode = _open(store, bag, report)
            if episode is not None:
                opened.append(episode)
            advance(bag.name)
    return opened


def _open(store: Cache, bag: Path, report: DatasetReport) -> CachedEpisode | None:
    try:
        episode = store.open(bag)
        episode.facts.episode_id, episode.success_ns  # noqa: B018  (both may be refused: now, not in a worker)
        return episode
    except CacheFull:
        raise
    except VlaMbpoError as error:
        report.skipped[str(bag)] = error.cause
    except Exception as error:  # one foreign bag of a thousand shall not end all; it is named, and can be reported
        report.skipped[str(bag)] = f"Unexpected {type(error).__name__}: {error}"
    return None


def _wanted(
    episodes: Iterable[CachedEpisode], settings: DatasetSettings, report: DatasetReport
) -> Iterator[CachedEpisode]:
    for episode in episodes:
        if episode.facts.outcome in settings.outcomes:
            yield episode
        else:
            report.skipped[str(episode.bag)] = f"Its outcome is {episode.facts.outcome}."


def _unique(episodes: Iterable[CachedEpisode], report: DatasetReport) -> Iterator[CachedEpisode]:
    first: dict[str, CachedEpisode] = {}
    for episode in episodes:
        if episode.id in first:
            report.skipped[str(episode.bag)] = f"Its id {episode.id} is that of {first[episode.id].bag} too."
        else:
            first[episode.id] = episode
            yield episode


def _fitting(episodes: Iterable[CachedEpisode], report: DatasetReport) -> tuple[CachedEpisode, ...]:
    """Those of the form that most have: batches need one width and one size of images."""
    episodes = tuple(episodes)
    if not episodes:
        return ()
    form, _ = Counter(episode.form for episode in episodes).most_common(1)[0]
    for episode in episodes:
        if episode.form != form:
            report.skipped[str(episode.bag)] = f"It differs from most in {_difference(episode.form, form)}."
    return tuple(episode for episode in episodes if episode.form == form)


def _difference(one: tuple[Any, ...], other: tuple[Any, ...]) -> str:
    names = ("its joints", "its commands", "cameras or size of images", "its control rate")
    pairs = zip(names, one, other, strict=True)
    return ", ".join(f"{name} ({mine}, not {theirs})" for name, mine, theirs in pairs if mine != theirs)


@contextmanager
def _bar(show: bool, total: int) -> Iterator[Callable[[str], None]]:
    if not show:
        yield lambda name: None
        return
    with _progress() as bar:
        task = bar.add_task("building the cache", total=total)
        yield lambda name: bar.update(task, advance=1, description=f"building the cache: {name}")


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
