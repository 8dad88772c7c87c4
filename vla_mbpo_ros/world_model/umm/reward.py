"""Is the task done? The understanding expert answers Yes or No, and the two are weighed against each other.

    views | question | answer ──> p = sigmoid(logit of Yes - logit of No)

So p is a probability among the two answers, whatever else the model might say.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vla_mbpo_ros.world_model.umm.net import Tokens, UmmNet
from vla_mbpo_ros.world_model.umm.rows import Rows
from vla_mbpo_ros.world_model.vocabulary import Vocabulary


def answers(net: UmmNet, layout: Rows, tokens: Tokens, words: list[int] | None = None) -> Tensor:
    """Logits (B, vocabulary or words) of what comes after the last token."""
    return net.logits(net.whole(layout, tokens)[:, -1], words)


def success(net: UmmNet, layout: Rows, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
    """(B,) probability that the task is done."""
    yes, no = answers(net, layout, tokens, [vocabulary.yes, vocabulary.no]).unbind(-1)
    return torch.sigmoid(yes - no)
