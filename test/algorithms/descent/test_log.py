from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.descent.log import Log, read_log
from vla_mbpo_ros.errors import ConfigError


def test_rows_are_kept_and_watched(tmp_path: Path) -> None:
    seen: list[float] = []
    with Log(tmp_path / "new" / "curve.csv", "step", watch=lambda row: seen.append(row["loss"])) as log:
        log.write({"step": 1, "loss": 0.5})
        log.write({"step": 2, "loss": 0.25})
    assert seen == [0.5, 0.25]
    assert read_log(tmp_path / "new" / "curve.csv") == [{"step": "1", "loss": "0.5"}, {"step": "2", "loss": "0.25"}]


def test_a_log_that_goes_on_forgets_what_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    for after, steps in ((-1, (1, 2, 3)), (2, (3, 4))):
        with Log(path, "step", after) as log:
            for step in steps:
                log.write({"step": step, "loss": step + after})
    assert [row["loss"] for row in read_log(path)] == ["0", "1", "5", "6"]


def test_a_log_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read"):
        read_log(tmp_path / "curve.csv")


def test_tensorboard_shows_the_same_rows_and_forgets_too(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for after, steps in ((-1, (1, 2, 3)), (2, (3, 4))):
        with Log(tmp_path / "curve.csv", "step", after) as log:
            for step in steps:
                log.write({"step": step, "loss": step + after})
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    assert {event.step: event.value for event in shown.Scalars("loss")} == {1: 0.0, 2: 1.0, 3: 5.0, 4: 6.0}
