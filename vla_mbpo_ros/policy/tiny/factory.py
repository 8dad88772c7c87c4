"""A small policy, new or from its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from vla_mbpo_ros.config_io import build
from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
from vla_mbpo_ros.policy.flow.inputs import InputMaker
from vla_mbpo_ros.policy.flow.normalisation import Normalisation
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.flow.text import ByteTokenizer
from vla_mbpo_ros.policy.tiny.config import TinyConfig
from vla_mbpo_ros.policy.tiny.net import TinyNet

KIND = "tiny"


def make_tiny(
    tiny: TinyConfig, flow: FlowConfig, inputs: InputConfig, normalisation: Normalisation, seed: int = 0
) -> FlowPolicy:
    """A policy with fresh weights, which depend on `seed` alone."""
    _check(tiny, inputs, normalisation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = TinyNet(tiny)
        maker = InputMaker(inputs, normalisation, ByteTokenizer(), net.state_dim)
        return FlowPolicy(KIND, net, flow, maker, f"{KIND}-new")


def make_net(settings: Mapping[str, Any], where: str) -> TinyNet:
    """The network of a checkpoint, for `policy/networks.py`."""
    return TinyNet(build(TinyConfig, settings, where))


def _check(tiny: TinyConfig, inputs: InputConfig, normalisation: Normalisation) -> None:
    if len(inputs.cameras) != tiny.views:
        cause = f"The network has {tiny.views} image slots, the inputs name {len(inputs.cameras)}."
        raise ConfigError(cause, "Give `views` the number of `cameras`.")
    if normalisation.action.width != tiny.action_dim:
        cause = f"The statistics have {normalisation.action.width} columns of action, the network {tiny.action_dim}."
        raise ContractError(cause, "Give `action_dim` the number of the robot's joints.")
