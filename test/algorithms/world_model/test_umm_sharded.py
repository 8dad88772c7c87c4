"""Two processes train one world model: started by torchrun, weights and optimiser in shards, gloo on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")
if not torch.distributed.is_available():
    pytest.skip("torch was built without torch.distributed", allow_module_level=True)

from safetensors.torch import load_file  # noqa: E402 (after the checks)

from vla_mbpo_ros.algorithms.descent import read_log  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.world_model.umm.checkpoint import load_world  # noqa: E402


@pytest.mark.slow
def test_two_processes_dream_look_save_and_go_on_as_one_would(tmp_path: Path) -> None:
    program = "test/algorithms/world_model/dreamers.py"
    words = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", program)
    done = subprocess.run(
        [sys.executable, *words, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names = [f"{name}_{rank}" for name in ("whole", "parts") for rank in (0, 1)]
    nets = [load_file(tmp_path / name / "umm.safetensors") for name in names]
    for other in nets[1:]:  # both ranks have it whole, and an interruption changes nothing
        assert all(torch.equal(value, other[name]) for name, value in nets[0].items())
    curves = [read_log(tmp_path / name / "curve.csv") for name in ("whole", "parts")]
    for column in ("loss", "mse", "ce", "held_out_mse", "grey"):
        assert [row[column] for row in curves[0]] == [row[column] for row in curves[1]]
    assert float(curves[0][-1]["held_out_mse"]) < float(curves[0][0]["held_out_mse"])
    assert load_world(tmp_path / names[0], TABLETOP).views == TABLETOP.camera_names
