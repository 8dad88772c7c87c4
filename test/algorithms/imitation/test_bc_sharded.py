"""Two processes learn what one learns: started by torchrun, weights and optimiser in shards, gloo on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")
if not torch.distributed.is_available():
    pytest.skip("torch was built without torch.distributed", allow_module_level=True)

from safetensors.torch import load_file  # noqa: E402 (after the checks)

from vla_mbpo_ros.algorithms.descent import read_log  # noqa: E402
from vla_mbpo_ros.algorithms.imitation.bc import train_bc  # noqa: E402
from vla_mbpo_ros.errors import ConfigError  # noqa: E402
from vla_mbpo_ros.models.distributed import ALONE, Team, blocks_of  # noqa: E402

CASES = ("plain", "frozen", "lora", "half_lora")


def near(name: str, mine: Any, theirs: Any) -> None:
    """Equal but for the order of sums. A bias of the keys changes no attention: its gradient is rounding alone."""
    tolerance = 1e-4 if name.endswith(".k.bias") else 2e-6
    if theirs.dtype == torch.bfloat16:  # the merged weight may be rounded to its neighbour
        tolerance = 5e-3
    torch.testing.assert_close(mine, theirs, atol=tolerance, rtol=tolerance, msg=name)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes made."""
    folder = tmp_path_factory.mktemp("two")
    program = "test/algorithms/imitation/large.py"
    words = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", program)
    done = subprocess.run(
        [sys.executable, *words, str(folder)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def one(large: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What one process made."""
    folder = tmp_path_factory.mktemp("one")
    return folder, large.train_all(folder, ALONE)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_end_where_one_does(both: Path, one: tuple[Path, dict[str, Any]], large: Any, case: str) -> None:
    alone, start = one[1][case].state_dict(), large.make_policy(half="half" in case).state_dict()
    ranks = [load_file(both / f"{case}.{rank}.safetensors") for rank in (0, 1)]
    moved = 0.0
    for name, weight in alone.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        near(name, ranks[0][name], weight)
        moved = max(moved, float((weight - start[name]).abs().max()))
    assert moved > 1e-3
    curves = [read_log(folder / case / "curve.csv") for folder in (both / "whole", one[0])]
    assert len(curves[0]) == large.CFG.steps
    for mine, theirs in zip(*curves, strict=True):
        for column in ("loss", "gradient", "held_out"):
            assert float(mine[column]) == pytest.approx(float(theirs[column]), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_one_process_goes_on_where_two_stopped(
    both: Path, one: tuple[Path, dict[str, Any]], large: Any, case: str
) -> None:
    policy = large.make_policy(seed=1, half="half" in case)
    train_bc(policy, large.Rows(), large.CASES[case], both / "half_way" / case)
    for name, weight in one[1][case].state_dict().items():
        near(name, policy.state_dict()[name], weight)


def test_a_batch_is_split_evenly_or_refused() -> None:
    parts = [Team(rank, 3).share(12) for rank in range(3)]
    assert [row for part in parts for row in range(12)[part]] == list(range(12))
    with pytest.raises(ConfigError, match="10 rows cannot be split evenly over 3 processes"):
        Team(0, 3).share(10)


def test_blocks_are_the_layers_and_none_is_inside_of_another(large: Any) -> None:
    net = large.make_policy().net
    blocks = blocks_of(net)
    assert len(blocks) == 2 + 2 + 2  # vision, trunk, expert
    inside = {id(part) for block in blocks for part in block.modules() if part is not block}
    assert not inside & {id(block) for block in blocks}
