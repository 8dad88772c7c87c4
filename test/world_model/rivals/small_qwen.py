"""A Qwen3-VL of a few thousand random numbers in a folder, as its makers publish theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

CONTROL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
MERGES = ("Y e", "Ye s", "N o")
IMAGES = {
    "image_processor_type": "Qwen2VLImageProcessorFast",
    "size": {"shortest_edge": 64 * 64, "longest_edge": 128 * 128},
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def write_qwen(folder: Path, seed: int = 0) -> Path:
    """Tokenizer, image processor, settings and weights."""
    words = _write_tokenizer(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(IMAGES))
    _model(words, seed).save_pretrained(folder, safe_serialization=True)
    return folder


def _write_tokenizer(folder: Path) -> dict[str, int]:
    """Bytes and two words; gives the number of every token."""
    words = [*sorted(ByteLevel.alphabet()), *(pair.replace(" ", "") for pair in MERGES)]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]))
    added = {str(len(words) + index): {"content": token} for index, token in enumerate(CONTROL)}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    return {token: index for index, token in enumerate([*words, *CONTROL])}


def _model(words: dict[str, int], seed: int) -> Any:
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    text = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [4, 2, 2]},
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 4,
        "out_hidden_size": 32,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    cfg = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=words["<|image_pad|>"],
        video_token_id=words["<|video_pad|>"],
        vision_start_token_id=words["<|vision_start|>"],
        vision_end_token_id=words["<|vision_end|>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(cfg)
        for parameter in model.parameters():  # far from its small start, so that everything is seen in the answer
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    return model
