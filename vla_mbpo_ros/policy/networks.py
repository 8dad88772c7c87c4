"""Networks by name, so that a checkpoint can be made a policy again."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.models.need import need

if TYPE_CHECKING:
    from torch import nn

# kind -> module with `make_net(settings, where)`; imported when it is needed
_MODULES = {
    "pi0": "vla_mbpo_ros.policy.pi.net",
    "pi05": "vla_mbpo_ros.policy.pi.net",
    "tiny": "vla_mbpo_ros.policy.tiny.factory",
}
NETWORKS = tuple(_MODULES)


def make_network(kind: str, settings: Mapping[str, Any], where: str) -> nn.Module:
    """A `VelocityNet` with fresh weights, from the settings that its checkpoint keeps."""
    if kind not in _MODULES:
        raise UnknownName("kind of network", kind, _MODULES, where)
    need("torch")
    net: nn.Module = importlib.import_module(_MODULES[kind]).make_net(settings, where)
    return net
