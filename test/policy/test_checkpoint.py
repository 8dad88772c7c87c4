"""A policy comes back from disk as it was, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.errors import ConfigError, ContractError, NotFinite, UnknownName  # noqa: E402 (after the checks)
from vla_mbpo_ros.policy.checkpoint import Lineage, hash_files, load_policy, save_policy  # noqa: E402
from vla_mbpo_ros.policy.flow.config import FlowConfig  # noqa: E402
from vla_mbpo_ros.policy.inspection import inspect  # noqa: E402
from vla_mbpo_ros.policy.networks import make_network  # noqa: E402

Make = Callable[..., Any]
FLOW = FlowConfig(steps=4, noise_basis=2, noise_dims=("a", "c"), noise_low=0.2, noise_high=0.8, value_hidden=(32,))
LINEAGE = Lineage(parent="pi05-000", episodes=("bag_1", "bag_2"), config={"lr": 1e-4}, notes=("a test",))


@pytest.fixture
def saved(tiny: Make, tmp_path: Path) -> Path:
    policy = tiny("pi05", FLOW)
    torch.nn.init.normal_(policy.value_head.mlp.last.weight)
    torch.nn.init.normal_(policy.noise_head.mlp.last.weight)
    save_policy(policy, tmp_path / "policy", LINEAGE)
    return tmp_path / "policy"


@pytest.mark.parametrize("kind", ["pi05", "pi0"])
def test_a_policy_comes_back_as_it_was(tiny: Make, look: Make, tmp_path: Path, kind: str) -> None:
    policy = tiny(kind, FLOW)
    written = save_policy(policy, tmp_path / "policy", LINEAGE)
    again = load_policy(tmp_path / "policy")
    before, after = (made.sample(made.encode(look(3)), 1, "noise") for made in (policy, again))
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(before.value, after.value)
    assert torch.equal(before.log_prob, after.log_prob)
    assert policy.version == again.version == written.version
    assert again.cfg == FLOW
    assert again.maker.cfg == policy.maker.cfg
    assert again.normalisation == policy.normalisation
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_the_way_back_to_the_bags_is_kept(saved: Path) -> None:
    lineage = inspect(saved)["lineage"]
    assert lineage["parent"] == "pi05-000"
    assert lineage["episodes"] == ("bag_1", "bag_2")
    assert lineage["config"] == {"lr": 1e-4}
    assert lineage["version"] == f"pi05-{lineage['hash'][:12]}"
    assert lineage["code_version"]


def test_nothing_in_the_folder_can_run(saved: Path) -> None:
    assert {path.suffix for path in saved.iterdir()} == {".safetensors", ".json"}
    assert not list(saved.parent.glob("*.part"))


def test_a_policy_is_never_written_over_another(tiny: Make, saved: Path) -> None:
    before = hash_files(saved / "weights.safetensors")
    with pytest.raises(ConfigError, match="exists already, not overwriting"):
        save_policy(tiny(), saved, Lineage())
    assert hash_files(saved / "weights.safetensors") == before


def test_a_save_that_fails_leaves_nothing(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vla_mbpo_ros.policy.checkpoint._write_json", full)
    with pytest.raises(ContractError, match="No space left"):
        save_policy(tiny(), tmp_path / "policy", Lineage())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "stats.json"])
def test_a_changed_byte_is_noticed(saved: Path, name: str) -> None:
    content = bytearray((saved / name).read_bytes())
    if name == "weights.safetensors":
        content[-8] ^= 1
    else:
        content += b"\n"
    (saved / name).write_bytes(bytes(content))
    with pytest.raises(ContractError, match="is not what was saved"):
        load_policy(saved)


def test_statistics_of_the_other_kind_are_refused(saved: Path) -> None:
    stats = json.loads((saved / "stats.json").read_text())
    (saved / "stats.json").write_text(json.dumps({**stats, "kind": "z-score"}))
    with pytest.raises(ContractError, match="works with quantile statistics, these are z-score"):
        load_policy(saved)
    assert "works with quantile statistics" in inspect(saved)["problems"][0]


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "stats.json", "lineage.json"])
def test_a_folder_that_is_not_whole_is_refused(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ContractError, match=name.replace(".", r"\.")):
        load_policy(saved)


def test_a_newer_format_is_refused(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "format_version": 2}))
    with pytest.raises(ContractError, match=r"vla_mbpo_ros\.policy 1 is known here"):
        load_policy(saved)


def test_a_setting_that_nobody_knows_is_refused_with_the_nearest(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    config["flow"]["step"] = 3
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnknownName, match="Did you mean 'steps'"):
        load_policy(saved)


def test_half_precision_is_kept_or_asked_for(tiny: Make, look: Make, tmp_path: Path) -> None:
    policy = tiny()
    policy.to_precision(torch.bfloat16)
    save_policy(policy, tmp_path / "half", Lineage())
    assert load_policy(tmp_path / "half").net.words.weight.dtype == torch.bfloat16
    whole = load_policy(tmp_path / "half", dtype="float32")
    assert {parameter.dtype for parameter in whole.parameters()} == {torch.float32}
    assert np.isfinite(whole.sample(whole.encode(look(1)), 0).values).all()
    with pytest.raises(ConfigError, match="Give one of float32, bfloat16"):
        load_policy(tmp_path / "half", dtype="float16")


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'pi05'"):
        make_network("pi5", {}, "here")


def test_inspection_needs_no_torch(saved: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from vla_mbpo_ros.policy.inspection import inspect; "
        f"print(inspect(Path({str(saved)!r}))['parameters']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50_000


# ---- what a folder may be instead of a policy -----------------------------------------------------------------


def rewrite(folder: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change a file of a policy as somebody would who knows of the hash, too."""
    from safetensors.torch import load_file, save_file

    if name.endswith(".safetensors"):
        tensors = load_file(folder / name)
        change(tensors)
        save_file(tensors, str(folder / name))
    else:
        data = json.loads((folder / name).read_text())
        change(data)
        (folder / name).write_text(json.dumps(data))
    found = hash_files(*(folder / part for part in ("weights.safetensors", "config.json", "stats.json")))
    lineage = json.loads((folder / "lineage.json").read_text())
    (folder / "lineage.json").write_text(json.dumps({**lineage, "hash": found}))


@pytest.mark.parametrize("length", [5, 200, -100])
def test_weights_that_are_cut_off_are_refused(saved: Path, length: int) -> None:
    whole = (saved / "weights.safetensors").read_bytes()
    (saved / "weights.safetensors").write_bytes(whole[:length])
    for read in (load_policy, inspect):
        with pytest.raises(ContractError, match=r"it has 5 bytes|length of a header|it is cut off"):
            read(saved)


@pytest.mark.parametrize("name", ["policy.pt", "pytorch_model.bin", "policy.pkl", "last.ckpt"])
def test_a_pickle_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(b"\x80\x04")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ContractError, match=f"{name} is a pickle, which runs a program"):
            load_policy(path)


@pytest.mark.parametrize(
    ("name", "change", "error", "told"),
    [
        ("weights.safetensors", lambda w: w.pop("net.words.weight"), ContractError, "1 missing: net.words.weight"),
        ("weights.safetensors", lambda w: w.update(more=torch.zeros(1)), ContractError, "1 unknown: more"),
        (
            "weights.safetensors",
            lambda w: w.update({"net.action_in.bias": torch.zeros(3)}),
            ContractError,
            r"1 of another shape: net.action_in.bias \(3,\) instead of \(16,\)",
        ),
        (
            "weights.safetensors",
            lambda w: w["net.action_out.bias"].fill_(float("nan")),
            NotFinite,
            "are not finite: net.action_out.bias holds a NaN",
        ),
        (
            "stats.json",
            lambda s: s["state"].update({key: s["state"][key] * 3 for key in ("names", "zero", "scale")}),
            ContractError,
            "9 columns of state, the network takes 8",
        ),
        ("stats.json", lambda s: s["action"].update(scale=[1.0, 0.0, 1.0]), ContractError, "a scale that is not above"),
        ("stats.json", lambda s: s["action"].update(names=["a"]), ContractError, "1 names, 3 zeros and 3 scales"),
        ("config.json", lambda c: c.update(kind="pi5"), UnknownName, "Did you mean 'pi05'"),
        ("config.json", lambda c: c["flow"].update(noise_dims=["d"]), UnknownName, "action dimension 'd'"),
        ("config.json", lambda c: c["network"].update(horizon=0), ConfigError, "horizon"),
    ],
)
def test_a_policy_that_does_not_fit_together_is_refused(
    saved: Path, name: str, change: Callable[[Any], None], error: type[Exception], told: str
) -> None:
    rewrite(saved, name, change)
    with pytest.raises(error, match=told):
        load_policy(saved)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"Cannot read .*config\.json"):
        load_policy(tmp_path)
    with pytest.raises(ContractError, match=r"Cannot read .*config\.json"):
        load_policy(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("[1, 2")
    with pytest.raises(ContractError, match="is not valid JSON"):
        load_policy(tmp_path)
    (tmp_path / "config.json").write_text("[1, 2]")
    with pytest.raises(ContractError, match="holds a list"):
        load_policy(tmp_path)
