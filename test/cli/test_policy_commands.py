"""`vla-mbpo policy inspect` and `vla-mbpo bench policy`."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.cli import main as cli  # noqa: E402 (after the checks)
from vla_mbpo_ros.errors import ConfigError  # noqa: E402
from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy  # noqa: E402
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig  # noqa: E402
from vla_mbpo_ros.policy.flow.inputs import InputMaker  # noqa: E402
from vla_mbpo_ros.policy.flow.normalisation import Columns, Normalisation  # noqa: E402
from vla_mbpo_ros.policy.flow.policy import FlowPolicy  # noqa: E402
from vla_mbpo_ros.policy.flow.text import ByteTokenizer  # noqa: E402
from vla_mbpo_ros.policy.pi.benchmark import Run, least_work  # noqa: E402
from vla_mbpo_ros.policy.pi.config import preset  # noqa: E402
from vla_mbpo_ros.policy.pi.net import PiNet, randomise  # noqa: E402

Run_ = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def vla_mbpo(capsys: pytest.CaptureFixture[str]) -> Run_:
    """Runs a command with --json: exit code, its object, what it said to people."""

    def run(*words: str) -> tuple[int, dict[str, Any], str]:
        code = cli.main([*words, "--json"])
        told = capsys.readouterr()
        return code, json.loads(told.out), told.err

    return run


@pytest.fixture
def environment() -> Iterator[None]:
    """A ROS domain of its own; what a benchmark adds for its nodes is taken back."""
    before = dict(os.environ)
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 100))
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    net = PiNet(preset("tiny_random"))
    randomise(net, 0)
    columns = Columns(("left", "right"), (0.0, 0.0), (1.0, 1.0))
    maker = InputMaker(
        InputConfig(image_size=28), Normalisation("quantile", columns, columns), ByteTokenizer(), net.state_dim
    )
    save_policy(FlowPolicy("pi05", net, FlowConfig(), maker, "new"), tmp_path / "policy", Lineage(episodes=("bag_7",)))
    return tmp_path / "policy"


def test_a_checkpoint_says_what_it_is(vla_mbpo: Run_, saved: Path) -> None:
    code, found, _ = vla_mbpo("policy", "inspect", str(saved))
    assert (code, found["ok"], found["problems"]) == (0, True, [])
    assert (found["layout"], found["kind"]) == ("vla_mbpo_ros", "pi05")
    assert found["statistics"] == {"kind": "quantile", "state": ["left", "right"], "action": ["left", "right"]}
    assert found["lineage"]["episodes"] == ["bag_7"]
    assert found["parameters"] > sum(p.numel() for p in PiNet(preset("tiny_random")).parameters())  # and its heads


def test_a_checkpoint_is_shown_to_people(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "inspect", str(saved)]) == 0
    text = capsys.readouterr().out
    for word in ("vla_mbpo_ros", "pi05", "quantile", "left, right", "expert.width=16", "problems", "none"):
        assert word in text, word


def test_a_pickle_is_refused_in_one_sentence(vla_mbpo: Run_, tmp_path: Path) -> None:
    (tmp_path / "policy.pt").write_bytes(b"\x80\x04")
    code, found, told = vla_mbpo("policy", "inspect", str(tmp_path / "policy.pt"))
    assert (code, found["ok"]) == (4, False)
    assert "runs a program" in found["error"]
    assert "Traceback" not in told


def test_a_path_that_leads_nowhere_is_refused(vla_mbpo: Run_, tmp_path: Path) -> None:
    code, found, _ = vla_mbpo("policy", "inspect", str(tmp_path / "nothing"))
    assert code == 4
    assert "model.safetensors" in found["error"]


@pytest.mark.parametrize("name", ["tiny_random", "tiny_random_pi0"])
def test_speed_is_measured_with_and_without_the_cache(vla_mbpo: Run_, tmp_path: Path, name: str) -> None:
    out = tmp_path / "policy.jsonl"
    words = ("--preset", name, "--repeats", "4", "--steps", "6", "--views", "3", "--horizon", "9", "--out", str(out))
    code, found, _ = vla_mbpo("bench", "policy", *words)
    assert code == 0
    assert (found["steps"], found["views"], found["horizon"], found["n"]) == (6, 3, 9, 4)
    assert 0.0 < found["median_ms"] <= found["p99_ms"]
    assert found["encode_median_ms"] > 0.0
    assert found["uncached_median_ms"] > 0.0
    assert json.loads(out.read_text())["bench"] == "policy"


def test_the_small_policy_is_measured_alone(vla_mbpo: Run_) -> None:
    words = ("--repeats", "3", "--steps", "4", "--views", "1", "--horizon", "9", "--without-node")
    code, found, _ = vla_mbpo("bench", "policy", *words)
    assert (code, found["preset"], found["node_overhead_ms"]) == (0, "tiny", None)
    assert (found["steps"], found["views"], found["horizon"], found["n"]) == (4, 1, 9, 3)
    assert 0.0 < found["median_ms"] <= found["p99_ms"]


@pytest.mark.ros
@pytest.mark.usefixtures("environment")
def test_the_small_policy_is_measured_through_a_real_node(vla_mbpo: Run_) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    code, found, _ = vla_mbpo("bench", "policy", "--repeats", "3")
    assert code == 0
    assert found["node_median_ms"] > found["node_without_its_model_ms"] > 0.0
    assert found["node_overhead_ms"] == pytest.approx(found["node_median_ms"] - found["median_ms"])


def test_with_the_cache_an_observation_is_encoded_once(vla_mbpo: Run_, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: on a busy machine a time proves nothing."""
    encode, calls = PiNet.encode, []

    def counted(net: PiNet, inputs: Any) -> Any:
        calls.append(1)
        return encode(net, inputs)

    monkeypatch.setattr(PiNet, "encode", counted)
    assert vla_mbpo("bench", "policy", "--preset", "tiny_random", "--repeats", "4", "--steps", "6")[0] == 0
    repeats = 3 + 4  # with those that warm up
    assert len(calls) == repeats * (1 + 6 + 1)  # with the cache, without it, and encoding alone


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--preset", "pi5"), "Unknown preset"),
        (("--steps", "0"), "Cannot measure steps 0"),
        (("--views", "4"), "Cannot measure"),
        (("--preset", "tiny_random", "--views", "4"), "Cannot measure"),
        (("--repeats", "0"), "Cannot measure"),
    ],
)
def test_what_cannot_be_measured_is_refused(vla_mbpo: Run_, words: tuple[str, ...], told: str) -> None:
    code, found, _ = vla_mbpo("bench", "policy", *words)
    assert code == 2
    assert told in found["error"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="no CUDA device"):
        Run(preset("tiny_random"), "cuda")


def test_the_least_work_of_pi05_is_that_of_its_weights() -> None:
    """Counted by hand for two views: 512 patches through the tower, 712 tokens through the trunk, 50 steps thrice."""
    with torch.device("meta"):
        net = PiNet(preset("pi05")).bfloat16()
    work = least_work(Run(preset("pi05"), "cpu"), net)
    assert len(work) == 5
    flop = [part for part, _ in work]
    assert flop[0] == pytest.approx(2 * 412.4e6 * 512, rel=0.05)
    assert flop[1] == pytest.approx(2 * 1981.9e6 * 712, rel=0.05)
    assert flop[2] == pytest.approx(2 * 427.9e6 * 50, rel=0.2)
    assert [moved for _, moved in work][:3] == [2 * 412_442_352, 2 * 1_981_884_416, 2 * 427_932_672]
