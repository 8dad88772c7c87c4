"""A pi0 or pi0.5 policy of ours, written as openpi and lerobot read it: the way back of `foreign.py`.

    openpi    model.safetensors   assets/NAME/norm_stats.json   config.json
    lerobot   model.safetensors   policy_preprocessor.json, policy_postprocessor.json and their numbers   config.json

Weights keep every bit. Statistics are both kinds of numbers for one and the same mapping, so that it stays right
whichever a program reads: mean = zero, std = scale, q01 and q99 = zero -/+ scale. Noise and value heads stay behind:
neither program knows them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.models.weights import save
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns
from vla_mbpo_ros.policy.pi.config import KINDS, PI05, SLOTS, PiConfig, preset
from vla_mbpo_ros.policy.pi.foreign import FILE, LEROBOT, OPENPI
from vla_mbpo_ros.policy.pi.foreign_stats import LEROBOT_EPS, OPENPI_EPS, PREPROCESSOR
from vla_mbpo_ros.policy.pi.keys import HEADS, UNUSED, VISION_HEADS, public_name

if TYPE_CHECKING:
    from torch import Tensor

    from vla_mbpo_ros.policy.flow.policy import FlowPolicy
    from vla_mbpo_ros.policy.pi.net import PiNet

LAYOUTS = (OPENPI, LEROBOT)
POSTPROCESSOR = "policy_postprocessor.json"
_TOKENIZER = "google/paligemma-3b-pt-224"  # what lerobot looks for; both kinds have learnt with it
_IDENTITY = {"VISUAL": "IDENTITY"}
_VARIANTS = {"paligemma_variant": "gemma_2b", "action_expert_variant": "gemma_300m"}


def export(policy: FlowPolicy, folder: Path, layout: str, assets: str = "robot") -> dict[str, Any]:
    """Write it to a new `folder`; what was written, and notes of what the other program must know or will not have."""
    _check(policy, folder, layout, assets)
    net = cast("PiNet", policy.net)
    tensors = _tensors(net, policy.kind, layout)
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    try:
        half.mkdir()
        save(tensors, half / FILE)
        (_write_openpi if layout == OPENPI else _write_lerobot)(policy, net.cfg, half, assets)
        half.rename(folder)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise ContractError(f"Cannot write {folder}: {error.strerror}.", "Check the disk and the folder.") from error
    return {
        "path": str(folder),
        "layout": layout,
        "kind": policy.kind,
        "weights": len(tensors),
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()),
        "notes": _notes(policy, net.cfg, layout),
    }


def _check(policy: FlowPolicy, folder: Path, layout: str, assets: str) -> None:
    if layout not in LAYOUTS:
        raise UnknownName("layout", layout, LAYOUTS)
    if policy.kind not in KINDS:
        cause = f"A {policy.kind} policy has no counterpart in {layout}."
        raise ConfigError(cause, f"Export one of {', '.join(KINDS)}; others know this one as our own folder.")
    if folder.exists():
        raise ConfigError(f"{folder} exists already, not overwriting.", "Give another folder.")
    cfg = cast("PiNet", policy.net).cfg
    if (cfg.heads, cfg.vision.heads) != (HEADS, VISION_HEADS):
        cause = f"The network has {cfg.heads} heads and {cfg.vision.heads} in its image tower."
        raise ConfigError(cause, f"{layout} builds networks of {HEADS} and {VISION_HEADS}: it cannot hold this one.")
    slots = tuple(policy.maker.cfg.cameras)
    if layout == OPENPI and slots != SLOTS:
        cause = f"The policy's image slots are {', '.join(slots)}, openpi's {', '.join(SLOTS)}."
        raise ConfigError(cause, f"Export it as {LEROBOT}, which names its images.")
    if not assets or Path(assets).name != assets:
        raise ConfigError(f"Assets cannot be called '{assets}'.", "Give the name of a robot.")


def _tensors(net: PiNet, kind: str, layout: str) -> dict[str, Tensor]:
    """By the public names, and the expert's output words, which nobody uses but strict readers ask for."""
    import torch

    prefix = "model." if layout == LEROBOT else ""
    found: dict[str, Tensor] = {prefix + public_name(name, kind): value for name, value in net.state_dict().items()}
    unused = torch.zeros(net.cfg.vocabulary, net.cfg.expert.width, dtype=net.words.weight.dtype)
    return {**found, prefix + UNUSED: unused}


def _write_openpi(policy: FlowPolicy, cfg: PiConfig, folder: Path, assets: str) -> None:
    columns = {"state": policy.normalisation.state, "actions": policy.normalisation.action}
    numbers = {what: _numbers(found, OPENPI_EPS) for what, found in columns.items()}
    (folder / "assets" / assets).mkdir(parents=True)
    _write(folder / "assets" / assets / "norm_stats.json", {"norm_stats": numbers})
    about = {"action_dim": cfg.action_dim, "action_horizon": cfg.horizon, "precision": _precision(policy)}
    _write(folder / "config.json", {**about, **_variants(cfg)})


def _write_lerobot(policy: FlowPolicy, cfg: PiConfig, folder: Path, assets: str) -> None:
    import torch

    inputs, outputs = _features(policy, cfg)
    mode = "QUANTILES" if policy.normalisation.kind == QUANTILE else "MEAN_STD"
    norm_map = {**_IDENTITY, "STATE": mode, "ACTION": mode}
    settings = policy.maker.cfg
    about = {
        "type": policy.kind,
        "n_obs_steps": 1,
        "input_features": inputs,
        "output_features": outputs,
        "normalization_mapping": norm_map,
        "chunk_size": cfg.horizon,
        "n_action_steps": cfg.horizon,
        "max_state_dim": cfg.action_dim,
        "max_action_dim": cfg.action_dim,
        "num_inference_steps": policy.cfg.steps,
        "tokenizer_max_length": settings.max_tokens,
        "image_resolution": [cfg.vision.image, cfg.vision.image],
        "dtype": _precision(policy),
        **_variants(cfg),
        **({"use_relative_actions": True} if settings.relative else {}),
    }
    _write(folder / "config.json", about)
    normalise = {"eps": LEROBOT_EPS, "features": {**inputs, **outputs}, "norm_map": norm_map}
    before = _steps_before(policy, normalise)
    place = next(index for index, step in enumerate(before) if step["registry_name"] == "normalizer_processor")
    after: list[dict[str, Any]] = [
        {"registry_name": "unnormalizer_processor", "config": {**normalise, "features": outputs}},
        {"registry_name": "device_processor", "config": {"device": "cpu", "float_dtype": None}},
    ]
    before[place]["state_file"] = f"policy_preprocessor_step_{place}_normalizer_processor.safetensors"
    after[0]["state_file"] = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
    columns = {"observation.state": policy.normalisation.state, "action": policy.normalisation.action}
    numbers = {
        f"{what}.{name}": torch.tensor(values, dtype=torch.float64)
        for what, found in columns.items()
        for name, values in _numbers(found, LEROBOT_EPS).items()
    }
    for name, title, steps, own in (
        (PREPROCESSOR, "policy_preprocessor", before, before[place]),
        (POSTPROCESSOR, "policy_postprocessor", after, after[0]),
    ):
        _write(folder / name, {"name": title, "steps": steps})
        save(numbers, folder / str(own["state_file"]))


def _steps_before(policy: FlowPolicy, normalise: dict[str, Any]) -> list[dict[str, Any]]:
    """What lerobot does to an observation. pi0.5 writes the normalised state into the prompt, so it comes after."""
    tokens = {
        "max_length": policy.maker.cfg.max_tokens,
        "task_key": "task",
        "padding_side": "right",
        "padding": "max_length",
        "truncation": True,
        "tokenizer_name": _TOKENIZER,
    }
    first = [{"registry_name": "rename_observations_processor", "config": {"rename_map": {}}}, _plain("to_batch")]
    scale = {"registry_name": "normalizer_processor", "config": normalise}
    words = {"registry_name": "tokenizer_processor", "config": tokens}
    device = {"registry_name": "device_processor", "config": {"device": "cpu", "float_dtype": None}}
    if policy.kind == PI05:
        return [
            *first,
            scale,
            {"registry_name": "pi05_prepare_state_tokenizer_processor_step", "config": {}},
            words,
            device,
        ]
    return [*first, _plain("pi0_new_line"), words, device, scale]


def _plain(name: str) -> dict[str, Any]:
    return {"registry_name": f"{name}_processor", "config": {}}


def _features(policy: FlowPolicy, cfg: PiConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    side = cfg.vision.image
    images = {
        f"observation.images.{slot}": {"type": "VISUAL", "shape": [3, side, side]} for slot in policy.maker.cfg.cameras
    }
    wide = policy.normalisation
    state = {"observation.state": {"type": "STATE", "shape": [wide.state.width]}}
    return {**images, **state}, {"action": {"type": "ACTION", "shape": [wide.action.width]}}


def _numbers(columns: Columns, eps: float) -> dict[str, list[float]]:
    """`eps` is what a reader adds to a spread."""
    both = list(zip(columns.zero, columns.scale, strict=True))
    return {
        "mean": list(columns.zero),
        "std": [max(scale - eps, 0.0) for _, scale in both],
        "q01": [zero - scale for zero, scale in both],
        "q99": [zero + scale - eps for zero, scale in both],
    }


def _notes(policy: FlowPolicy, cfg: PiConfig, layout: str) -> list[str]:
    settings = policy.maker.cfg
    cameras = ", ".join(f"{slot} = {camera or 'empty'}" for slot, camera in settings.cameras.items())
    notes = [
        "The noise and value heads are not in it.",
        f"Columns of the state: {', '.join(policy.normalisation.state.names)}.",
        f"Columns of the action: {', '.join(policy.normalisation.action.names)}.",
        f"Images: {cameras}.",
        f"Prompt: {settings.prompt}.",
    ]
    if settings.relative:
        notes.append(f"Relative to the state: {', '.join(settings.relative)}.")
    if settings.antialias != (layout == OPENPI):
        how = ("with", "without") if settings.antialias else ("without", "with")
        notes.append(f"It has learnt from images shrunk {how[0]} antialiasing; {layout} shrinks {how[1]}.")
    if not _variants(cfg):
        notes.append(f"Its sizes are none of {layout}'s variants: the other program must be told them.")
    return notes


def _variants(cfg: PiConfig) -> dict[str, str]:
    """The names of trunk and expert, if they have the public sizes."""
    true = preset("pi05")
    same = (cfg.trunk, cfg.expert, cfg.depth, cfg.head_dim) == (true.trunk, true.expert, true.depth, true.head_dim)
    return dict(_VARIANTS) if same else {}


def _precision(policy: FlowPolicy) -> str:
    return str(cast("PiNet", policy.net).words.weight.dtype).removeprefix("torch.")


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
