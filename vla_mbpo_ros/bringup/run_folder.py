"""A folder for each run: the resolved parameters, what was started, and the log of every node."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from vla_mbpo_ros.bringup.graph import GraphSpec
from vla_mbpo_ros.bringup.parameters import write_parameters
from vla_mbpo_ros.errors import ConfigError


@dataclass(frozen=True)
class RunFolder:
    """runs/<date>-<time>-<robot>/ with resolved.yaml, graph.json and logs/<node>.log."""

    path: Path

    @property
    def parameters(self) -> Path:
        return self.path / "resolved.yaml"

    @property
    def logs(self) -> Path:
        return self.path / "logs"


def runs_folder() -> Path:
    """Where runs go: $VLA_MBPO_RUNS, or ./runs."""
    return Path(os.environ.get("VLA_MBPO_RUNS") or "runs").absolute()


def make_run_folder(graph: GraphSpec, parent: Path | None = None) -> RunFolder:
    """A new folder with everything that is known before the start."""
    run = RunFolder(_new_folder(parent or runs_folder(), graph.robot.name))
    run.logs.mkdir()
    write_parameters(graph.config, run.parameters)
    facts = {
        "options": asdict(graph.options),
        "environment": dict(graph.environment.added),
        "nodes": {node.full_name: node.command("python", run.parameters) for node in graph.nodes},
    }
    (run.path / "graph.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return run


def _new_folder(parent: Path, robot: str) -> Path:
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{robot}"
    for name in (stem, *(f"{stem}-{index}" for index in range(2, 100))):
        try:
            (parent / name).mkdir(parents=True)
        except FileExistsError:
            continue  # another run began in the same second
        except OSError as error:
            raise ConfigError(
                f"Cannot make {parent / name}: {error.strerror}.", "Name another folder in VLA_MBPO_RUNS."
            ) from error
        return parent / name
    raise ConfigError(f"{parent} has a hundred runs of this second.", "Name another folder in VLA_MBPO_RUNS.")
