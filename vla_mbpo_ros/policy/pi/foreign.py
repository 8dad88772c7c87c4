"""pi0 and pi0.5 checkpoints as openpi and lerobot write them: told apart, checked, made a policy of ours.

    openpi    model.safetensors   assets/NAME/norm_stats.json   config.json or nothing
    lerobot   model.safetensors   policy_preprocessor.json …    config.json with "type": "pi05"

Neither says everything: the tokenizer is a file of its own, openpi does not write the chunk's length, and both have
their own names for cameras. `Foreign` holds what must be told. Nothing is fetched from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.models.weights import PICKLES, Weights, hash_files, load, read_header
from vla_mbpo_ros.policy.checkpoint import Description, assemble, fill
from vla_mbpo_ros.policy.flow.config import MASK, FlowConfig, InputConfig
from vla_mbpo_ros.policy.flow.normalisation import Normalisation
from vla_mbpo_ros.policy.flow.text import PLAIN, STATE
from vla_mbpo_ros.policy.pi.config import KINDS, MAX_TOKENS, PI0, PI05, SLOTS, STATISTICS, PiConfig
from vla_mbpo_ros.policy.pi.foreign_stats import lerobot_stats, openpi_stats, read_json
from vla_mbpo_ros.policy.pi.keys import TIED_WORDS, WORDS, is_pi, match, plain_name, sizes_of

if TYPE_CHECKING:
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy

OPENPI, LEROBOT = "openpi", "lerobot"
FILE = "model.safetensors"
_IMAGES = "observation.images."
HORIZONS = ("chunk_size", "action_horizon")  # lerobot's name, openpi's
CAMERAS = dict(zip(SLOTS, ("head", "left_wrist", "right_wrist"), strict=True))


@dataclass(frozen=True)
class Foreign:
    """What a foreign checkpoint does not say. Names and cameras are those of the robot that it is to act on."""

    tokenizer: str | Path = ""  # a local sentencepiece file, or "bytes"
    cameras: dict[str, str] = field(default_factory=dict)  # slot -> camera; '' leaves it empty; unnamed: as usual
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    horizon: int = 0  # steps of a chunk, where the checkpoint does not say
    prompt: str = ""  # "plain" or "state"; empty: as the kind is usually trained
    relative: tuple[str, ...] = ()  # actions relative to the state of that name
    assets: str = ""  # openpi: whose statistics, if there are several
    statistics: str = ""  # the kind that these weights have learnt with, where it is not the usual one of their kind
    normalisation: Normalisation | None = None  # instead of the checkpoint's own: weights about to learn another robot
    flow: FlowConfig = field(default_factory=FlowConfig)


@dataclass(frozen=True)
class Found:
    """A foreign checkpoint, looked at but not loaded."""

    folder: Path
    layout: str
    network: PiConfig
    weights: Weights
    config: dict[str, Any]


def find_weights(path: Path) -> Path:
    """The safetensors file of a checkpoint: the path itself, or in that folder."""
    if path.is_file() or path.suffix in PICKLES:
        return path
    if (path / FILE).is_file():
        return path / FILE
    pickles = sorted(file.name for file in path.glob("*") if file.suffix in PICKLES)
    several = sorted(file.name for file in path.glob("*.safetensors.index.json"))
    if several:
        raise ContractError(f"{path} has its weights in several files ({several[0]}).", f"Join them as {FILE}.")
    if pickles:
        return path / pickles[0]
    raise ContractError(f"{path} has no {FILE}.", "Give the folder of a checkpoint in PyTorch's safetensors.")


def look(path: Path, horizon: int = 0) -> Found:
    """What it is; ContractError if it is neither openpi's nor lerobot's, or not whole."""
    weights = read_header(find_weights(path))
    folder = weights.path.parent
    if not is_pi(weights.shapes):
        some = ", ".join(list(weights.shapes)[:3])
        raise ContractError(f"{weights.path} is no pi0 or pi0.5: its weights are {some} …", "Give another checkpoint.")
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    said = str(config.get("type", ""))
    steps = horizon or next((int(config[key]) for key in HORIZONS if key in config), 0)
    network = sizes_of(weights.shapes, steps or PiConfig().horizon, str(path))
    if said in KINDS and said != network.kind:
        raise ContractError(f"{folder / 'config.json'} says {said}, the weights are {network.kind}.", "Mend one.")
    layout = LEROBOT if said or any(name.startswith("model.") for name in weights.shapes) else OPENPI
    return Found(folder, layout, network, weights, config)


def stats_of(found: Found, told: Foreign) -> Normalisation:
    """Its statistics, of the kind that this network needs."""
    kind = told.statistics or STATISTICS[found.network.kind]
    if told.normalisation is not None:
        told.normalisation.check_kind(kind, found.network.kind)
        return told.normalisation
    names = (told.state_names, told.action_names)
    if found.layout == OPENPI:
        return openpi_stats(found.folder, kind, told.assets, *names)
    made = lerobot_stats(found.folder, *names)
    made.check_kind(kind, found.network.kind)
    return made


def load_foreign(path: Path, told: Foreign, device: str = "cpu", dtype: str = "") -> FlowPolicy:
    """A policy from a checkpoint of openpi or lerobot. Noise and value heads are new: they were never in it."""
    found = look(path, told.horizon)
    _check_told(found, told)
    normalisation = stats_of(found, told)
    kind, inputs = found.network.kind, _inputs(found, told)
    about = Description(kind, nested(found.network), told.flow, inputs, str(told.tokenizer), normalisation.kind)
    version = f"{found.network.kind}-{hash_files(found.weights.path)[:12]}"
    policy = assemble(about, normalisation, version, told.tokenizer, str(path))
    ours = {name: tuple(tensor.shape) for name, tensor in policy.net.state_dict().items()}
    names = match(ours, found.weights.shapes, found.network.kind, str(path))
    _check_tied(found.weights)
    fill(policy, found.weights, {f"net.{mine}": name for mine, name in names.items()}, device, dtype)
    return policy


def _check_told(found: Found, told: Foreign) -> None:
    if not str(told.tokenizer):
        cause = f"{found.folder} has no tokenizer, no such checkpoint has."
        raise ConfigError(cause, "Give the path of PaliGemma's sentencepiece file (`tokenizer`).")
    if not told.horizon and not any(key in found.config for key in HORIZONS):
        cause = f"{found.folder} does not say how many steps its chunks have."
        raise ConfigError(cause, "Say it (`horizon`): 50 for most, 10 for LIBERO.")
    if found.config.get("use_relative_actions") and not told.relative:
        raise ConfigError(f"{found.folder} has learnt relative actions.", "Name those that are (`relative`).")


def _inputs(found: Found, told: Foreign) -> InputConfig:
    slots = slots_of(found)
    for slot in told.cameras:
        if slot not in slots:
            raise UnknownName("image slot", slot, slots, str(found.folder))
    kind = found.network.kind
    return InputConfig(
        cameras={slot: told.cameras.get(slot, CAMERAS.get(slot, slot)) for slot in slots},
        image_size=found.network.vision.image,
        antialias=found.layout == OPENPI,
        missing_camera=MASK,
        prompt=told.prompt or (STATE if kind == PI05 else PLAIN),
        max_tokens=int(found.config.get("tokenizer_max_length", MAX_TOKENS[kind])),
        state_input=kind == PI0,
        relative=told.relative,
    )


def slots_of(found: Found) -> tuple[str, ...]:
    """The image slots in the order that the network has learnt."""
    features = found.config.get("input_features")
    if found.layout == OPENPI or not isinstance(features, dict):
        return SLOTS
    return tuple(name.removeprefix(_IMAGES) for name in features if name.startswith(_IMAGES)) or SLOTS


def _check_tied(weights: Weights) -> None:
    """The trunk's output words, if they are there beside the input words, are the same numbers."""
    names = {plain_name(name): name for name in weights.shapes}
    if WORDS not in names or TIED_WORDS not in names:
        return
    both = load(weights, {WORDS: names[WORDS], TIED_WORDS: names[TIED_WORDS]}, "cpu")
    if both[WORDS].shape != both[TIED_WORDS].shape or not bool((both[WORDS] == both[TIED_WORDS]).all()):
        cause = f"{weights.path} has two different tables of words, which should be one and the same."
        raise ContractError(cause, "Convert the checkpoint again.")
