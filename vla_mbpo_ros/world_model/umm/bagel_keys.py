"""Names of weights: ours, and those of Bagel's `ema.safetensors`.

    ours                                 theirs
    trunk.layers.3.generation.q.weight   language_model.model.layers.3.self_attn.q_proj_moe_gen.weight

Nothing is guessed: what is missing, unknown or of another shape is listed and refused. Two tables of places follow
from a formula and are computed, whatever the file says of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from vla_mbpo_ros.models.weights import Shape, refuse_mismatch

TABLES = ("latent_pos_embed.pos_embed", "vit_pos_embed.pos_embed")
_LANGUAGE = "language_model.model."
_VISION = "vit_model.vision_model."

_FIXED = {
    "words": _LANGUAGE + "embed_tokens",
    "head": "language_model.lm_head",
    "trunk.understanding_norm": _LANGUAGE + "norm",
    "trunk.generation_norm": _LANGUAGE + "norm_moe_gen",
    "time.first": "time_embedder.mlp.0",
    "time.second": "time_embedder.mlp.2",
    "latent_in": "vae2llm",
    "latent_out": "llm2vae",
    "vit.patch": _VISION + "embeddings.patch_embedding",
    "vit.place": _VISION + "embeddings.position_embedding",
    "vit.norm": _VISION + "post_layernorm",
    "connector.first": "connector.fc1",
    "connector.second": "connector.fc2",
}
_EXPERT = {  # {} is where the generation expert has its suffix
    "norm1": "input_layernorm{}",
    "norm2": "post_attention_layernorm{}",
    "q": "self_attn.q_proj{}",
    "k": "self_attn.k_proj{}",
    "v": "self_attn.v_proj{}",
    "q_norm": "self_attn.q_norm{}",
    "k_norm": "self_attn.k_norm{}",
    "out": "self_attn.o_proj{}",
    "gate": "mlp{}.gate_proj",
    "up": "mlp{}.up_proj",
    "down": "mlp{}.down_proj",
}
_SUFFIX = {"understanding": "", "generation": "_moe_gen"}
_VIT = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "out": "self_attn.out_proj",
    "up": "mlp.fc1",
    "down": "mlp.fc2",
}


def their_name(ours: str) -> str:
    """The name of our weight in Bagel's checkpoint."""
    module, leaf = ours.rsplit(".", 1)
    if module in _FIXED:
        return f"{_FIXED[module]}.{leaf}"
    parts = module.split(".")
    if parts[0] == "vit":  # vit.layers.N.part
        return f"{_VISION}encoder.layers.{parts[2]}.{_VIT[parts[3]]}.{leaf}"
    # trunk.layers.N.expert.part
    return f"{_LANGUAGE}layers.{parts[2]}.{_EXPERT[parts[4]].format(_SUFFIX[parts[3]])}.{leaf}"


def match(ours: Mapping[str, Shape], theirs: Mapping[str, Shape], where: str) -> dict[str, str]:
    """Our name -> the name in the file, for every weight; ContractError unless each fits and none is left over."""
    wanted = {mine: their_name(mine) for mine in ours}
    missing = [name for name in wanted.values() if name not in theirs]
    extra = sorted(set(theirs) - set(wanted.values()) - set(TABLES))
    misshapen = [
        f"{name} {tuple(theirs[name])} instead of {tuple(ours[mine])}"
        for mine, name in wanted.items()
        if name in theirs and tuple(theirs[name]) != tuple(ours[mine])
    ]
    refuse_mismatch(where, missing, extra, misshapen)
    return wanted
