"""A policy on disk: a folder of safetensors and JSON, nothing that can run.

    my_policy/
      weights.safetensors   every parameter, by our names
      config.json           kind and settings of the network, of sampling, of the inputs; the tokenizer's name
      stats.json            normalisation, and of which kind
      lineage.json          version, parent, episodes, configuration, code: the way back to the bags
      tokenizer.model       if the policy has one of its own

`save_policy` writes beside the place and moves the whole folder there at the end: a half-written policy is never
found. `load_policy` is strict: a weight too many or too few, statistics of the wrong kind, or a changed byte is
refused.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros import __version__
from vla_mbpo_ros.config_io import build, nested
from vla_mbpo_ros.errors import ConfigError, ContractError, NotFinite
from vla_mbpo_ros.models.need import need
from vla_mbpo_ros.models.weights import Weights, hash_files, load, read_header, refuse_mismatch, refuse_pickle, save
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
from vla_mbpo_ros.policy.flow.normalisation import Normalisation, from_json
from vla_mbpo_ros.policy.networks import make_network

if TYPE_CHECKING:
    import torch

    from vla_mbpo_ros.policy.flow.policy import FlowPolicy

FORMAT, FORMAT_VERSION = "vla_mbpo_ros.policy", 1
WEIGHTS, CONFIG, STATS, LINEAGE = "weights.safetensors", "config.json", "stats.json", "lineage.json"
TOKENIZER = "tokenizer.model"
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Lineage:
    """Where a policy comes from. `version` and the last three are filled in when it is saved."""

    parent: str = ""  # version of the policy that it was trained from
    episodes: tuple[str, ...] = ()  # ids of what it was trained on
    config: Mapping[str, Any] = field(default_factory=dict)  # the resolved settings of the training
    notes: tuple[str, ...] = ()
    version: str = ""
    code_version: str = ""
    made_at: str = ""
    hash: str = ""  # SHA-256 over weights, config and stats


@dataclass(frozen=True)
class Description:
    """All of a policy but its weights."""

    kind: str
    network: Mapping[str, Any]
    flow: FlowConfig
    inputs: InputConfig
    tokenizer: str  # "bytes" or "sentencepiece"
    statistics: str  # the kind that the weights have learnt with


def save_policy(policy: FlowPolicy, folder: Path, lineage: Lineage) -> Lineage:
    """Write it to a new `folder`; gives the lineage as written, and the policy its version."""
    if folder.exists():
        raise ConfigError(f"{folder} exists already, not overwriting.", "Give another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    try:
        written = _write(policy, half, lineage)
        half.rename(folder)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise ContractError(f"Cannot write {folder}: {error.strerror}.", "Check the disk and the folder.") from error
    policy.version = written.version
    return written


def load_policy(folder: Path, device: str = "cpu", dtype: str = "") -> FlowPolicy:
    """A policy as `save_policy` wrote it. `dtype` is one of DTYPES; empty keeps what was saved."""
    _refuse_pickles(folder)
    about, normalisation, lineage = read_description(folder), read_stats(folder), read_lineage(folder)
    normalisation.check_kind(about.statistics, about.kind)
    weights = read_header(folder / WEIGHTS)
    if lineage.hash != hash_files(*(folder / name for name in (WEIGHTS, CONFIG, STATS))):
        cause = f"{folder} is not what was saved: a file was damaged or changed by hand."
        raise ContractError(cause, "Copy it again, or load another policy.")
    policy = assemble(about, normalisation, lineage.version, _tokenizer_file(folder, about), str(folder))
    fill(policy, weights, own_names(policy, weights, str(folder)), device, dtype)
    return policy


def assemble(
    about: Description, normalisation: Normalisation, version: str, tokenizer: str | Path, where: str
) -> FlowPolicy:
    """The policy with an empty network: its tensors are on the meta device, for `fill` to bring."""
    torch = need("torch")
    from vla_mbpo_ros.policy.flow.inputs import InputMaker
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy
    from vla_mbpo_ros.policy.flow.text import make_tokenizer

    with torch.device("meta"):
        net: Any = make_network(about.kind, about.network, where)
    maker = InputMaker(about.inputs, normalisation, make_tokenizer(tokenizer), net.state_dim)
    return FlowPolicy(about.kind, net, about.flow, maker, version)


def fill(policy: FlowPolicy, weights: Weights, names: Mapping[str, str], device: str, dtype: str) -> None:
    """Bring the weights in: our name -> name in the file. One by one, so that they are in memory once."""
    import torch

    if dtype and dtype not in DTYPES:
        raise ConfigError(f"A policy cannot be loaded as {dtype}.", f"Give one of {', '.join(DTYPES)}, or nothing.")
    if dtype:
        policy.to_precision(getattr(torch, dtype))
    wanted: dict[str, torch.dtype] = {name: tensor.dtype for name, tensor in policy.state_dict().items()}
    state = {}
    for ours, theirs in names.items():
        tensor = load(weights, {ours: theirs}, device)[ours]
        if not bool(torch.isfinite(tensor).all()):
            cause = f"The weights in {weights.path} are not finite: {theirs} holds a NaN or an infinity."
            raise NotFinite(cause, "They are broken: load others.")
        state[ours] = tensor.to(wanted[ours]) if dtype else tensor
    missing = [name for name in wanted if name not in names]
    policy.load_state_dict({**{name: policy.state_dict()[name] for name in missing}, **state}, assign=True)
    policy.to(device)


def own_names(policy: FlowPolicy, weights: Weights, where: str) -> dict[str, str]:
    """Each of our names, as it is in a file of our own; ContractError unless all are there and none is left over."""
    ours = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
    theirs = weights.shapes
    misshapen = [
        f"{name} {theirs[name]} instead of {shape}"
        for name, shape in ours.items()
        if name in theirs and theirs[name] != shape
    ]
    refuse_mismatch(where, [n for n in ours if n not in theirs], [n for n in theirs if n not in ours], misshapen)
    return {name: name for name in ours}


def read_description(folder: Path) -> Description:
    data = _read_json(folder / CONFIG)
    if data.get("format") != FORMAT or data.get("format_version") != FORMAT_VERSION:
        cause = f"{folder / CONFIG} has the format {data.get('format')} {data.get('format_version')}."
        raise ContractError(cause, f"{FORMAT} {FORMAT_VERSION} is known here.")
    where = str(folder / CONFIG)
    try:
        flow, inputs = build(FlowConfig, data["flow"], where), build(InputConfig, data["inputs"], where)
        return Description(data["kind"], data["network"], flow, inputs, data["tokenizer"], data["statistics"])
    except KeyError as error:
        raise ContractError(f"{where} does not say {error}.", "Save the policy again.") from error


def read_stats(folder: Path) -> Normalisation:
    return from_json(_read_json(folder / STATS), str(folder / STATS))


def read_lineage(folder: Path) -> Lineage:
    data = _read_json(folder / LINEAGE)
    try:
        return Lineage(**{**data, "episodes": tuple(data["episodes"]), "notes": tuple(data["notes"])})
    except (KeyError, TypeError) as error:
        raise ContractError(f"{folder / LINEAGE} cannot be read: {error!r}.", "Save the policy again.") from error


def is_ours(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file()


def _write(policy: FlowPolicy, half: Path, lineage: Lineage) -> Lineage:
    net: Any = policy.net
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": policy.kind,
        "network": nested(net.cfg),
        "flow": nested(policy.cfg),
        "inputs": nested(policy.maker.cfg),
        "tokenizer": policy.maker.tokenizer.name,
        "statistics": policy.normalisation.kind,
    }
    save(policy.state_dict(), half / WEIGHTS)
    _write_json(half / CONFIG, about)
    _write_json(half / STATS, policy.normalisation.to_json())
    path = getattr(policy.maker.tokenizer, "path", None)
    if path is not None:
        shutil.copyfile(path, half / TOKENIZER)
    found = hash_files(half / WEIGHTS, half / CONFIG, half / STATS)
    written = Lineage(
        **{
            **{name: getattr(lineage, name) for name in ("parent", "episodes", "config", "notes")},
            "version": f"{policy.kind}-{found[:12]}",
            "code_version": __version__,
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "hash": found,
        }
    )
    _write_json(half / LINEAGE, asdict(written))
    return written


def _refuse_pickles(folder: Path) -> None:
    """Whoever gives a pickle, or a folder of them, is told so, and not that a file is missing."""
    refuse_pickle(folder)
    if not is_ours(folder) and folder.is_dir():
        for path in sorted(folder.iterdir()):
            refuse_pickle(path)


def _tokenizer_file(folder: Path, about: Description) -> str | Path:
    return about.tokenizer if about.tokenizer == "bytes" else folder / TOKENIZER


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    refuse_pickle(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ContractError(f"Cannot read {path}: {error.strerror}.", "Give the folder of a whole policy.") from error
    except ValueError as error:
        raise ContractError(f"{path} is not valid JSON: {error}.", "Copy it again.") from error
    if not isinstance(data, dict):
        raise ContractError(f"{path} holds a {type(data).__name__}.", "Give the folder of a whole policy.")
    return data
