"""`vla-mbpo policy export` and `vla-mbpo policy import`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.cli import main as cli  # noqa: E402 (after the checks)
from vla_mbpo_ros.data.dataset.statistics import Statistics, column_statistics  # noqa: E402
from vla_mbpo_ros.policy.checkpoint import Lineage, load_policy, read_lineage, save_policy  # noqa: E402
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig  # noqa: E402
from vla_mbpo_ros.policy.flow.inputs import InputMaker  # noqa: E402
from vla_mbpo_ros.policy.flow.normalisation import Columns, Normalisation  # noqa: E402
from vla_mbpo_ros.policy.flow.policy import FlowPolicy  # noqa: E402
from vla_mbpo_ros.policy.flow.text import ByteTokenizer  # noqa: E402
from vla_mbpo_ros.policy.pi.config import SLOTS, GemmaConfig, PiConfig, VisionConfig  # noqa: E402
from vla_mbpo_ros.policy.pi.net import PiNet, randomise  # noqa: E402
from vla_mbpo_ros.policy.tiny.config import TinyConfig  # noqa: E402
from vla_mbpo_ros.policy.tiny.factory import make_tiny  # noqa: E402
from vla_mbpo_ros.robots import get_robot  # noqa: E402

Run = Callable[..., tuple[int, dict[str, Any]]]
ROBOT = get_robot("arx_x5")
COLUMNS = Columns(ROBOT.names, (0.25,) * ROBOT.dof, (0.5,) * ROBOT.dof)
NORMALISATION = Normalisation("quantile", COLUMNS, COLUMNS)


@pytest.fixture
def vla_mbpo(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, dict[str, Any]]:
        code = cli.main(["policy", *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A pi0.5 for the ARX X5, with the heads of a public one and small otherwise."""
    sizes = {"horizon": 5, "action_dim": 16, "vocabulary": 300, "depth": 2, "head_dim": 4}
    vision = VisionConfig(width=32, depth=1, mlp=24, heads=16, patch=14, image=28)
    net = PiNet(PiConfig(**sizes, vision=vision, trunk=GemmaConfig(24, 32), expert=GemmaConfig(16, 20)))
    randomise(net, 0)
    cameras = dict(zip(SLOTS, ("head", "left_wrist", "right_wrist"), strict=True))
    inputs = InputConfig(cameras=cameras, image_size=28, prompt="state", max_tokens=200, state_input=False)
    maker = InputMaker(inputs, NORMALISATION, ByteTokenizer(), net.state_dim)
    save_policy(FlowPolicy("pi05", net, FlowConfig(steps=10), maker, "new"), tmp_path / "ours", Lineage())
    return tmp_path / "ours"


@pytest.mark.parametrize("layout", ["openpi", "lerobot"])
def test_out_and_in_again_is_the_same_policy(vla_mbpo: Run, ours: Path, tmp_path: Path, layout: str) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    code, told = vla_mbpo("export", str(ours), str(out), "--layout", layout)
    assert (code, told["ok"], told["kind"]) == (0, True, "pi05")
    assert "model.safetensors" in told["files"]
    words = ("--robot", "arx_x5", "--tokenizer", "bytes")
    code, told = vla_mbpo("import", str(out), str(back), *words)
    assert (code, told["layout"]) == (0, layout)
    assert list(told["cameras"].values()) == ["head", "left_wrist", "right_wrist"]
    one, other = load_policy(ours), load_policy(back)
    assert all(torch.equal(other.net.state_dict()[name], weight) for name, weight in one.net.state_dict().items())
    np.testing.assert_allclose(other.normalisation.state.scale, one.normalisation.state.scale, rtol=1e-12)
    assert (other.horizon, other.cfg.steps) == (5, 10)
    assert layout in read_lineage(back).notes[0]


def test_a_base_can_be_brought_in_with_the_statistics_of_the_own_data(
    vla_mbpo: Run, ours: Path, tmp_path: Path
) -> None:
    vla_mbpo("export", str(ours), str(tmp_path / "out"), "--layout", "openpi")
    rows = np.random.default_rng(0).normal(size=(50, ROBOT.dof))
    columns = column_statistics(ROBOT.names, [rows])
    Statistics("arx_x5", 1, "", columns, columns).save(tmp_path / "stats.json")
    words = ("--robot", "arx_x5", "--tokenizer", "bytes", "--stats", str(tmp_path / "stats.json"))
    code, _ = vla_mbpo("import", str(tmp_path / "out"), str(tmp_path / "back"), *words, "--camera", "base_0_rgb=")
    assert code == 0
    policy = load_policy(tmp_path / "back")
    assert policy.normalisation.state.zero[0] == pytest.approx((columns.q01[0] + columns.q99[0]) / 2)
    assert policy.maker.cfg.camera_names == ("left_wrist", "right_wrist")


def test_a_small_policy_is_refused_clearly(vla_mbpo: Run, tmp_path: Path) -> None:
    tiny = TinyConfig(views=1, action_dim=ROBOT.dof, state_dim=ROBOT.dof, channels=4, keypoints=2, context=8, width=8)
    policy = make_tiny(tiny, FlowConfig(value_hidden=(8,)), InputConfig(image_size=16), NORMALISATION)
    save_policy(policy, tmp_path / "tiny", Lineage())
    code, told = vla_mbpo("export", str(tmp_path / "tiny"), str(tmp_path / "out"), "--layout", "openpi")
    assert code == 2
    assert "A tiny policy has no counterpart in openpi." in told["error"]
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_never_overwritten(vla_mbpo: Run, ours: Path, tmp_path: Path) -> None:
    code, told = vla_mbpo("export", str(ours), str(ours), "--layout", "openpi")
    assert (code, "not overwriting" in told["error"]) == (2, True)
    vla_mbpo("export", str(ours), str(tmp_path / "out"), "--layout", "openpi")
    words = ("--robot", "arx_x5", "--tokenizer", "bytes")
    code, told = vla_mbpo("import", str(tmp_path / "out"), str(ours), *words)
    assert (code, "not overwriting" in told["error"]) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--robot", "arx_x6", "--tokenizer", "bytes"), 2, "arx_x6"),
        (("--robot", "arx_x5", "--tokenizer", "/nowhere/tokenizer.model"), 2, "There is no tokenizer at"),
        (("--robot", "arx_x5", "--tokenizer", "bytes", "--camera", "base_0_rgb=haed"), 2, "--camera got"),
        (("--robot", "arx_x5", "--tokenizer", "bytes", "--camera", "base=head"), 2, "image slot 'base'"),
        (("--robot", "arx_x5", "--tokenizer", "bytes", "--steps", "0"), 2, "steps"),
        (("--robot", "tabletop", "--tokenizer", "bytes"), 4, "14 columns, 7 names"),
    ],
)
def test_what_does_not_fit_is_refused(
    vla_mbpo: Run, ours: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    vla_mbpo("export", str(ours), str(tmp_path / "out"), "--layout", "openpi")
    found, told = vla_mbpo("import", str(tmp_path / "out"), str(tmp_path / "back"), *words)
    assert found == code
    assert said in told["error"]
    assert not (tmp_path / "back").exists()


def test_people_read_what_the_other_program_must_be_told(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["policy", "export", str(ours), str(tmp_path / "out"), "--layout", "lerobot"]) == 0
    text = capsys.readouterr().out
    for words in ("pi05 for lerobot", "noise and value heads are not in it", "base_0_rgb = head", ROBOT.names[0]):
        assert words in text, words
