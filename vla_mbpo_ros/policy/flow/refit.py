"""The same network under other settings of chance and value: what a policy needs before reinforcement learning.

A policy from imitation, or from a checkpoint of openpi, has heads that have learnt nothing, and perhaps of other sizes
than the trial on hand wants. Heads whose settings stay the same are kept as they are; the others begin anew.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from vla_mbpo_ros.policy.flow.config import FlowConfig
from vla_mbpo_ros.policy.flow.policy import FlowPolicy

_NOISE = ("noise_low", "noise_high", "noise_start", "noise_basis", "noise_dims", "noise_hidden", "noise_steps")
_VALUE = ("value_hidden",)


def refit_heads(policy: FlowPolicy, wanted: FlowConfig, seed: int = 0) -> tuple[FlowPolicy, list[str]]:
    """The policy with the noise and value heads of `wanted`, and a sentence for each head that begins anew.

    How it denoises stays: `steps` and what else is not of the heads are the policy's own. The network is shared.
    """
    heads = {name: getattr(wanted, name) for name in (*_NOISE, *_VALUE, "noise_level")}
    cfg = replace(policy.cfg, **heads)
    if cfg == policy.cfg:
        return policy, []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = FlowPolicy(policy.kind, policy.net, cfg, policy.maker, policy.version)
    notes = []
    for what, head, names in (("noise", "noise_head", _NOISE), ("value", "value_head", _VALUE)):
        changes = [name for name in names if getattr(policy.cfg, name) != getattr(cfg, name)]
        if changes:
            told = ", ".join(f"{name} {_told(policy.cfg, name)} -> {_told(cfg, name)}" for name in changes)
            notes.append(f"The {what} head begins anew: {told}.")
        else:
            setattr(made, head, getattr(policy, head))
    return made.to(policy.device), notes


def _told(cfg: FlowConfig, name: str) -> str:
    value = getattr(cfg, name)
    return ("all" if not value else "/".join(map(str, value))) if isinstance(value, tuple) else f"{value:g}"
