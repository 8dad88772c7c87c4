"""Qwen3-VL as a judge: it looks at all views, is asked the paper's question, and Yes is weighed against No.

    views ──its image processor──> patches ─┐
                                            ├──> Qwen3-VL ──last token──> p = sigmoid(logit of Yes - logit of No)
    <|im_start|>user                        │
    a view of n tokens, one after the other │
    question<|im_end|>                      │
    <|im_start|>assistant ──tokenizer───────┘

The model comes through transformers from a folder on this machine, as its makers publish it; nothing is ever fetched.
It must be one that answers at once (Instruct): one that thinks first says neither word there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vla_mbpo_ros.errors import ConfigError, ContractError, MissingDependency
from vla_mbpo_ros.models.need import need
from vla_mbpo_ros.models.weights import hash_files, refuse_mismatch
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.world_model import prompts
from vla_mbpo_ros.world_model.folder import read_json
from vla_mbpo_ros.world_model.protocol import Scenes
from vla_mbpo_ros.world_model.qwen_vocabulary import BEGIN, END, QwenVocabulary
from vla_mbpo_ros.world_model.rivals.judged import Judge

KINDS = ("qwen3_vl", "qwen3_vl_moe")  # as config.json says it
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_TEXT, _IMAGE = 0, 1  # what a token is, as the model wants to be told


class VlmJudge:
    """Judges rows of scenes, at most `batch` at a time."""

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        dtype: str = "",  # of DTYPES; empty: bfloat16 on a GPU, else float32
        environment: str = prompts.ROBOT,
        batch: int = 8,
    ) -> None:
        library = _library()
        _check(folder, dtype)
        self._words = QwenVocabulary(folder, (), environment)
        self._environment, self._batch = environment, batch
        wanted = DTYPES[dtype or ("float32" if device == "cpu" else "bfloat16")]
        self._images, self._model = _load(library, folder, wanted, device)
        self.version = f"qwen3-vl-{hash_files(*_files(folder))[:12]}"

    def judge(self, scenes: Scenes) -> FloatArray:
        """(B,) probability that the task of each scene is done in it."""
        rows = range(0, len(scenes), self._batch)
        parts = [self._judge(scenes.select(range(at, min(at + self._batch, len(scenes))))) for at in rows]
        return np.concatenate(parts) if parts else np.zeros(0)

    @torch.inference_mode()
    def _judge(self, scenes: Scenes) -> FloatArray:
        seen = self._look(scenes.images)
        tokens = seen["image_grid_thw"].prod(dim=1) // self._images.merge_size**2  # (B V,)
        counts = tokens.reshape(len(scenes), -1).tolist()
        asked = [self._ask(text, count) for text, count in zip(scenes.instructions, counts, strict=True)]
        told = self._model(**_padded(asked, self._image, self._model.device), **seen, logits_to_keep=1)
        yes, no = told.logits[:, -1, [self._words.yes, self._words.no]].float().unbind(-1)
        found: FloatArray = torch.sigmoid(yes - no).double().cpu().numpy()
        return found

    def _look(self, images: ImageArray) -> dict[str, torch.Tensor]:
        """Patches of all views, the first row's first."""
        found = self._images(
            list(images.reshape(-1, *images.shape[2:])), return_tensors="pt", input_data_format="channels_last"
        )
        return {name: found[name].to(self._model.device) for name in ("pixel_values", "image_grid_thw")}

    def _ask(self, instruction: str, views: Sequence[int]) -> list[int]:
        """A row; each view has so many tokens."""
        start, end = self._words.markers.start, self._words.markers.end
        said = prompts.question(instruction, self._environment)
        row = list(self._words.encode(f"{BEGIN}user\n"))
        for count in views:
            row += [start, *[self._image] * count, end]
        return [*row, *self._words.encode(f"{said}{END}\n{BEGIN}assistant\n")]

    @property
    def _image(self) -> int:
        return int(self._model.config.image_token_id)


def _padded(rows: Sequence[Sequence[int]], image: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Rows (B, L), shorter ones behind padding that nobody sees: so the last token is the last of every row."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=device)
    seen = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    kinds = torch.where((ids == image) & (seen == 1), _IMAGE, _TEXT)
    return {"input_ids": ids, "attention_mask": seen, "mm_token_type_ids": kinds}


def _library() -> Any:
    try:
        return need("transformers")
    except MissingDependency as error:
        raise MissingDependency(error.cause, "pip install 'transformers>=5.3'") from error


def _check(folder: Path, dtype: str) -> None:
    if dtype and dtype not in DTYPES:
        raise ConfigError(f"A judge in {dtype!r} was asked for.", f"Give one of {', '.join(DTYPES)}.")
    if not folder.is_dir():
        cure = "Download a Qwen3-VL-Instruct there, or give the folder where it is; nothing is fetched from here."
        raise ConfigError(f"There is no folder at {folder}.", cure)
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in KINDS:
        raise ContractError(f"The model in {folder} is of the kind {kind!r}.", f"Give one of {', '.join(KINDS)}.")
    if not list(folder.glob("*.safetensors")):
        raise ContractError(f"{folder} has no weights in *.safetensors.", "Copy the whole folder again.")


def _load(library: Any, folder: Path, dtype: torch.dtype, device: str) -> tuple[Any, Any]:
    """Image processor and model. The processor is Pillow's: the same numbers with torchvision and without."""
    try:
        images = library.AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
        model, told = library.AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ContractError(
            f"The model in {folder} cannot be loaded: {error}", "Copy the whole folder again."
        ) from error
    refuse_mismatch(str(folder), sorted(told["missing_keys"]), [], [])  # else they would be random numbers
    return images, model.to(device).eval().requires_grad_(False)


def _files(folder: Path) -> list[Path]:
    return [folder / "config.json", *sorted(folder.glob("*.safetensors"))]


if TYPE_CHECKING:  # it keeps the protocol
    _KEPT: type[Judge] = VlmJudge
