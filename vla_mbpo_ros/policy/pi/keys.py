"""Names of weights: ours, and those of public pi0 and pi0.5 checkpoints.

    ours                             openpi                                             lerobot
    expert.layers.3.q.weight   <->   paligemma_with_expert.gemma_expert.model.          model. + the same
                                     layers.3.self_attn.q_proj.weight

Nothing is guessed: what is missing, unknown or of another shape is listed and refused. Two names are known and not
needed: the trunk's output words are its input words (tied), and the expert's output words are never used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.weights import Shape, refuse_mismatch
from vla_mbpo_ros.policy.pi.config import PI0, PI05, GemmaConfig, PiConfig, VisionConfig

_BOTH = "paligemma_with_expert."
_PALI = _BOTH + "paligemma.model."
WORDS = _PALI + "language_model.embed_tokens.weight"
TIED_WORDS = _BOTH + "paligemma.lm_head.weight"
UNUSED = _BOTH + "gemma_expert.lm_head.weight"
HEADS, VISION_HEADS = 8, 16  # of every public variant; shapes alone do not tell them

_ROOMS = {  # of our names -> of theirs
    "vision.patch": _PALI + "vision_tower.embeddings.patch_embedding",
    "vision.place": _PALI + "vision_tower.embeddings.position_embedding",
    "vision.layers": _PALI + "vision_tower.encoder.layers",
    "vision.norm": _PALI + "vision_tower.post_layernorm",
    "projector": _PALI + "multi_modal_projector.linear",
    "words": _PALI + "language_model.embed_tokens",
    "language": _PALI + "language_model",
    "expert": _BOTH + "gemma_expert.model",
    "action_in": "action_in_proj",
    "action_out": "action_out_proj",
    "state_in": "state_proj",
}
_TIME = {PI05: "time_mlp", PI0: "action_time_mlp"}
_PARTS = {  # inside a layer
    "vision": {
        "norm1": "layer_norm1",
        "norm2": "layer_norm2",
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "out": "self_attn.out_proj",
        "up": "mlp.fc1",
        "down": "mlp.fc2",
    },
    "gemma": {
        "norm1": "input_layernorm",
        "norm2": "post_attention_layernorm",
        "modulation": "dense",
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "out": "self_attn.o_proj",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    },
}


def their_name(ours: str, kind: str) -> str:
    """The name of our weight in a public checkpoint."""
    if ours.startswith("time_"):
        return ours.replace("time", _TIME[kind], 1)
    room = max((room for room in _ROOMS if ours.startswith(room + ".")), key=len)
    parts = _PARTS["vision" if room == "vision.layers" else "gemma"]
    rest = ours[len(room) :].split(".")
    layered = room in ("vision.layers", "language", "expert")
    return _ROOMS[room] + ".".join(parts.get(part, part) if layered else part for part in rest)


def public_name(ours: str, kind: str) -> str:
    """As today's programs write it. Of the two tables of words, which are one, the first in the alphabet is kept."""
    theirs = their_name(ours, kind)
    return TIED_WORDS if theirs == WORDS else theirs.replace("vision_tower.", "vision_tower.vision_model.")


def plain_name(theirs: str) -> str:
    """Without what only the writing program put there."""
    return theirs.removeprefix("model.").replace("vision_tower.vision_model.", "vision_tower.")


def is_pi(names: Iterable[str]) -> bool:
    return any(plain_name(name).startswith(_BOTH) for name in names)


def sizes_of(shapes: Mapping[str, Shape], horizon: int, where: str = "The checkpoint") -> PiConfig:
    """The configuration that a public checkpoint was made with, read from the shapes of its weights."""
    found = _Shapes({plain_name(name): shape for name, shape in shapes.items()}, where)
    vision, language, expert = (_ROOMS[room] for room in ("vision.layers", "language", "expert"))
    width, _, patch, _ = found.of(_ROOMS["vision.patch"] + ".weight", 4)
    side = round(found.of(_ROOMS["vision.place"] + ".weight", 2)[0] ** 0.5)
    head_dim = found.of(f"{language}.layers.0.self_attn.q_proj.weight", 2)[0] // HEADS
    words = WORDS if WORDS in found.shapes else TIED_WORDS
    vocabulary, trunk_width = found.of(words, 2)
    expert_width, action_dim = found.of("action_in_proj.weight", 2)
    return PiConfig(
        kind=PI05 if "time_mlp_in.weight" in found.shapes else PI0,
        horizon=horizon,
        action_dim=action_dim,
        vocabulary=vocabulary,
        depth=found.layers(language + ".layers"),
        heads=HEADS,
        kv_heads=max(1, found.of(f"{language}.layers.0.self_attn.k_proj.weight", 2)[0] // max(1, head_dim)),
        head_dim=head_dim,
        vision=VisionConfig(
            width,
            found.layers(vision),
            found.of(f"{vision}.0.mlp.fc1.weight", 2)[0],
            VISION_HEADS,
            patch,
            side * patch,
        ),
        trunk=GemmaConfig(trunk_width, found.of(f"{language}.layers.0.mlp.up_proj.weight", 2)[0]),
        expert=GemmaConfig(expert_width, found.of(f"{expert}.layers.0.mlp.up_proj.weight", 2)[0]),
    )


def match(ours: Mapping[str, Shape], theirs: Mapping[str, Shape], kind: str, where: str) -> dict[str, str]:
    """Our name -> the name in the file, for every weight; ContractError unless each fits and none is left over."""
    by_plain = {plain_name(name): name for name in theirs}
    wanted = {mine: their_name(mine, kind) for mine in ours}
    if WORDS not in by_plain and TIED_WORDS in by_plain:
        wanted["words.weight"] = TIED_WORDS
    missing = [name for name in wanted.values() if name not in by_plain]
    extra = sorted(set(by_plain) - set(wanted.values()) - {WORDS, TIED_WORDS, UNUSED})
    misshapen = [
        f"{name} {theirs[by_plain[name]]} instead of {tuple(ours[mine])}"
        for mine, name in wanted.items()
        if name in by_plain and tuple(theirs[by_plain[name]]) != tuple(ours[mine])
    ]
    refuse_mismatch(where, missing, extra, misshapen)
    return {mine: by_plain[name] for mine, name in wanted.items()}


@dataclass(frozen=True)
class _Shapes:
    """Shapes by plain name, with errors that say what is not there."""

    shapes: dict[str, Shape]
    where: str

    def of(self, name: str, dimensions: int) -> Shape:
        if len(self.shapes.get(name, ())) != dimensions:
            cause = f"{self.where} has no weight {name} of {dimensions} dimensions."
            raise ContractError(cause, "Give a whole pi0 or pi0.5 checkpoint in PyTorch's safetensors.")
        return self.shapes[name]

    def layers(self, room: str) -> int:
        """How many are numbered below `room`."""
        places = {name[len(room) + 1 :].split(".")[0] for name in self.shapes if name.startswith(room + ".")}
        return len(places)
