"""pi0 here and pi0 in transformers are the same function: shared random weights, other code, the same numbers.

One difference is theirs: they make the waves of the flow time in float32, where the fastest one keeps three digits;
openpi and lerobot, which trained the public weights, make them in float64, as is done here. So their frequencies are
given to them in float64, and how much float32 alone would change is a test of its own.
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: no other pi0 to compare with")

from torch import Tensor  # noqa: E402 (after the checks)

from vla_mbpo_ros.models.flow import euler  # noqa: E402
from vla_mbpo_ros.policy.flow.net import Inputs  # noqa: E402
from vla_mbpo_ros.policy.pi.config import GemmaConfig, PiConfig, VisionConfig  # noqa: E402
from vla_mbpo_ros.policy.pi.keys import their_name  # noqa: E402
from vla_mbpo_ros.policy.pi.net import PiNet, randomise  # noqa: E402

if not hasattr(transformers, "PI0ForConditionalGeneration"):
    pytest.skip(f"transformers {transformers.__version__} has no pi0", allow_module_level=True)

CFG = PiConfig(
    "pi0",
    horizon=6,
    action_dim=8,
    vocabulary=100,
    depth=3,
    heads=4,
    kv_heads=1,
    head_dim=16,
    vision=VisionConfig(width=32, depth=2, mlp=48, heads=4, patch=14, image=28),
    trunk=GemmaConfig(40, 64),
    expert=GemmaConfig(24, 48),
)
IMAGE = 99  # the token that stands for a patch in transformers' prompt
CLOSE = 1e-5
CLOSE_IN_FLOAT32 = 1e-3
# of the names in a public checkpoint -> of transformers' own
_RENAMED = {
    "paligemma_with_expert.paligemma.model.": "model.vlm.",
    "paligemma_with_expert.gemma_expert.model.": "model.dit.",
    "action_in_proj": "embed_action_time.action_in_proj",
    "action_time_mlp": "embed_action_time.action_time_mlp",
    "state_proj": "embed_action_time.state_proj",
}


def _gemma(sizes: GemmaConfig) -> dict[str, Any]:
    return {
        "model_type": "gemma",
        "hidden_size": sizes.width,
        "intermediate_size": sizes.mlp,
        "num_hidden_layers": CFG.depth,
        "num_attention_heads": CFG.heads,
        "num_key_value_heads": CFG.kv_heads,
        "head_dim": CFG.head_dim,
        "vocab_size": CFG.vocabulary,
        "pad_token_id": 0,
    }


def _theirs() -> Any:
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": CFG.vision.width,
        "intermediate_size": CFG.vision.mlp,
        "num_hidden_layers": CFG.vision.depth,
        "num_attention_heads": CFG.vision.heads,
        "patch_size": CFG.vision.patch,
        "image_size": CFG.vision.image,
        "vision_use_head": False,
    }
    config = transformers.PI0Config(
        vlm_config={
            "model_type": "paligemma",
            "text_config": _gemma(CFG.trunk),
            "vision_config": vision,
            "projection_dim": CFG.trunk.width,
            "image_token_id": IMAGE,
        },
        dit_config=_gemma(CFG.expert),
        chunk_size=CFG.horizon,
        max_action_dim=CFG.action_dim,
        max_state_dim=CFG.action_dim,
    )
    return transformers.PI0ForConditionalGeneration(config).eval()


def _shared(exact_time: bool = True) -> tuple[PiNet, Any]:
    """Both with the same weights, none left over on either side but a table of words that is never used."""
    net, other = PiNet(CFG).eval(), _theirs()
    randomise(net, 3)
    state = {}
    for name, tensor in net.state_dict().items():
        theirs = their_name(name, "pi0")
        for old, new in _RENAMED.items():
            theirs = theirs.replace(old, new, 1) if theirs.startswith(old) else theirs
        state[theirs] = tensor
    missing, unexpected = other.load_state_dict(state, strict=False)
    assert unexpected == []
    assert [name for name in missing if not name.startswith("model.dit.embed_tokens")] == []
    if exact_time:
        share = torch.linspace(0.0, 1.0, CFG.expert.width // 2, dtype=torch.float64)
        waves = other.embed_action_time.sinusoid_embeds
        waves.sinusoid_freq = 2.0 * torch.pi / (4e-3 * 1000.0**share)
    return net, other


def _inputs(missing_view: bool) -> tuple[Inputs, dict[str, Tensor]]:
    """The same observation for each: they want images inside the prompt, and no padding among them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 2, 3, 28, 28, generator=generator) * 2.0 - 1.0
    tokens = torch.randint(1, 90, (2, 7), generator=generator)
    valid = torch.ones(2, 7, dtype=torch.bool)
    if not missing_view:
        valid[1, 4:] = False
    state = torch.randn(2, CFG.action_dim, generator=generator)
    views = torch.tensor([[True, not missing_view]] * 2)
    patches = CFG.vision.tokens * int(views[0].sum())
    theirs = {
        "input_ids": torch.cat([torch.full((2, patches), IMAGE), tokens], dim=1),
        "attention_mask": torch.cat([torch.ones(2, patches, dtype=torch.bool), valid], dim=1).long(),
        "pixel_values": images,
        "pixel_attention_mask": views,
        "state": state,
    }
    return Inputs(images, views, tokens, valid, state), theirs


@pytest.mark.parametrize("missing_view", [False, True])
@torch.no_grad()
def test_velocities_are_the_same(missing_view: bool) -> None:
    net, other = _shared()
    ours, theirs = _inputs(missing_view)
    x = torch.randn(2, CFG.horizon, CFG.action_dim, generator=torch.Generator().manual_seed(2))
    for t in (torch.tensor([1.0, 0.6]), torch.tensor([0.01, 0.33])):
        mine = net.velocity(net.encode(ours), x, t)[0]
        wanted = other(noise=x, timestep=t, **theirs).logits
        assert float(wanted.abs().max()) > 0.5
        assert float((mine - wanted).abs().max()) < CLOSE


@pytest.mark.parametrize("steps", [3, 10])
@torch.no_grad()
def test_sampled_chunks_are_the_same(steps: int) -> None:
    net, other = _shared()
    ours, theirs = _inputs(missing_view=False)
    x = torch.randn(2, CFG.horizon, CFG.action_dim, generator=torch.Generator().manual_seed(2))
    cache = net.encode(ours)
    mine = euler(lambda at, t: net.velocity(cache, at, t)[0], x, steps)[-1]
    wanted = other.sample_actions(noise=x.clone(), num_steps=steps, **theirs)
    assert float((wanted - x).abs().max()) > 0.5
    assert float((mine - wanted).abs().max()) < CLOSE


@torch.no_grad()
def test_their_waves_in_float32_change_little() -> None:
    net, other = _shared(exact_time=False)
    ours, theirs = _inputs(missing_view=False)
    x = torch.randn(2, CFG.horizon, CFG.action_dim, generator=torch.Generator().manual_seed(2))
    t = torch.tensor([0.6, 0.33])
    apart = float((net.velocity(net.encode(ours), x, t)[0] - other(noise=x, timestep=t, **theirs).logits).abs().max())
    assert CLOSE < apart < CLOSE_IN_FLOAT32
