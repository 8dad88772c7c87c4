"""A vision-language model as a judge: a tiny random Qwen3-VL through transformers."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="transformers is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402 (after the checks)
from small_qwen import write_qwen  # noqa: E402

from vla_mbpo_ros.config import Config, WorldModelConfig  # noqa: E402 (after the checks)
from vla_mbpo_ros.errors import ConfigError, ContractError, MissingDependency  # noqa: E402
from vla_mbpo_ros.robots.settings import resolve  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.schema import ImageArray  # noqa: E402
from vla_mbpo_ros.world_model import prompts  # noqa: E402
from vla_mbpo_ros.world_model.factory import make_world_model, rehearse  # noqa: E402
from vla_mbpo_ros.world_model.protocol import Scenes, StateSource  # noqa: E402
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast  # noqa: E402
from vla_mbpo_ros.world_model.rivals.judged import Judged  # noqa: E402
from vla_mbpo_ros.world_model.rivals.vlm_judge import VlmJudge  # noqa: E402

TEXTS = ("press the red button", "lift", "push the yellow cube into its zone")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def judge(folder: Path) -> VlmJudge:
    return VlmJudge(folder)


def pictures(rows: int, height: int = 64, width: int = 64, seed: int = 0) -> ImageArray:
    return np.random.default_rng(seed).integers(0, 256, (rows, 2, height, width, 3), dtype=np.uint8)


def scenes(rows: int, **form: int) -> Scenes:
    return Scenes(pictures(rows, **form), np.zeros((rows, 7)), tuple(TEXTS[row % 3] for row in range(rows)))


def patches_by_hand(image: ImageArray) -> torch.Tensor:
    """(H, W, 3) -> patches of 16, four of a square of 2 x 2 side by side, each told twice for its two moments."""
    unit = image.astype(np.float32) / 127.5 - 1.0
    found = []
    for row, column in np.ndindex(image.shape[0] // 32, image.shape[1] // 32):
        for down, right in np.ndindex(2, 2):
            top, left = row * 32 + down * 16, column * 32 + right * 16
            patch = unit[top : top + 16, left : left + 16].transpose(2, 0, 1)  # channels, rows, columns
            found.append(np.stack([patch, patch], axis=1).reshape(-1))  # channels, moments, rows, columns
    return torch.from_numpy(np.array(found))


def test_the_answer_is_that_of_the_model_asked_by_hand(judge: VlmJudge, folder: Path) -> None:
    """The whole way for one scene: text, views, patches, and the two logits."""
    from transformers import Qwen3VLForConditionalGeneration

    scene = scenes(1)
    words = json.loads((folder / "vocab.json").read_text())
    control = {
        fact["content"]: int(number)
        for number, fact in json.loads((folder / "tokenizer_config.json").read_text())["added_tokens_decoder"].items()
    }

    def read(text: str) -> list[int]:
        """Bytes as the vocabulary names them; the question has a Yes and a No in it."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        plain = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
        plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        plain.decoder = decoders.ByteLevel()
        return list(plain.encode(text).ids)

    view = [control["<|vision_start|>"], *[control["<|image_pad|>"]] * 4, control["<|vision_end|>"]]
    asked = [control["<|im_start|>"], *read("user\n"), *view, *view, *read(prompts.question(TEXTS[0]))]
    asked += [control["<|im_end|>"], *read("\n"), control["<|im_start|>"], *read("assistant\n")]
    ids = torch.tensor([asked])
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(
            input_ids=ids,
            mm_token_type_ids=(ids == control["<|image_pad|>"]).int(),
            pixel_values=torch.cat([patches_by_hand(image) for image in scene.images[0]]),
            image_grid_thw=torch.tensor([[1, 4, 4]] * 2),
        ).logits[0, -1]
    expected = torch.sigmoid(logits[words["Yes"]] - logits[words["No"]])
    assert judge.judge(scene)[0] == pytest.approx(float(expected), abs=1e-5)
    assert 0.01 < float(expected) < 0.99


def test_a_row_is_judged_as_if_it_were_alone(folder: Path, judge: VlmJudge) -> None:
    """Instructions of different lengths are one batch; a row depends on its own views and words alone."""
    whole = scenes(5)
    together = judge.judge(whole)
    alone = np.concatenate([judge.judge(whole.select([row])) for row in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(VlmJudge(folder, batch=2).judge(whole), together, atol=1e-5)
    assert np.ptp(together) > 1e-3


def test_it_sees_every_view_and_reads_the_instruction(judge: VlmJudge) -> None:
    scene = scenes(1)
    plain = judge.judge(scene)[0]
    for view in range(2):
        other = scene.images.copy()
        other[0, view] = 255 - other[0, view]
        assert abs(judge.judge(Scenes(other, scene.state, scene.instructions))[0] - plain) > 1e-4
    swapped = Scenes(scene.images[:, ::-1].copy(), scene.state, scene.instructions)
    assert abs(judge.judge(swapped)[0] - plain) > 1e-4
    assert abs(judge.judge(Scenes(scene.images, scene.state, ("lift",)))[0] - plain) > 1e-4


def test_views_of_any_size_are_judged(judge: VlmJudge) -> None:
    found = judge.judge(scenes(2, height=48, width=96))
    assert found.shape == (2,)
    assert np.all((found > 0.0) & (found < 1.0))


def test_bfloat16_says_nearly_the_same(folder: Path, judge: VlmJudge) -> None:
    whole = scenes(3)
    np.testing.assert_allclose(VlmJudge(folder, dtype="bfloat16").judge(whole), judge.judge(whole), atol=0.15)


def test_the_version_names_the_weights(folder: Path, judge: VlmJudge, tmp_path: Path) -> None:
    assert VlmJudge(folder).version == judge.version
    assert VlmJudge(write_qwen(tmp_path, seed=1)).version != judge.version


def test_what_is_no_such_model_is_refused_with_its_cure(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no folder at .*nothing is fetched"):
        VlmJudge(tmp_path / "nothing")
    with pytest.raises(ContractError, match=r"config\.json cannot be read"):
        VlmJudge(tmp_path)
    with pytest.raises(ConfigError, match="float16"):
        VlmJudge(folder, dtype="float16")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "model_type": "qwen2_vl"}))
    with pytest.raises(ContractError, match="of the kind 'qwen2_vl'"):
        VlmJudge(copy)
    (copy / "config.json").write_text(json.dumps(settings))
    tensors = load_file(copy / "model.safetensors")
    dropped = next(name for name in tensors if "q_proj" in name)
    save_file({name: one for name, one in tensors.items() if name != dropped}, copy / "model.safetensors")
    with pytest.raises(ContractError, match=r"1 missing: .*q_proj"):  # transformers alone would make it up
        VlmJudge(copy)
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ContractError, match="cannot be loaded"):
        VlmJudge(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ContractError, match="no weights"):
        VlmJudge(copy)


def test_without_transformers_the_cure_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependency, match="pip install 'transformers"):
        VlmJudge(folder)


def test_a_model_without_a_judge_is_given_one(judge: VlmJudge) -> None:
    world = Judged(CopyLast(("head", "wrist"), (64, 64), 10), judge)
    scene = scenes(3)
    dreams = world.imagine(scene, np.zeros((3, 10, 7)), [0, 1, 2])
    np.testing.assert_array_equal(dreams.images, scene.images)
    np.testing.assert_array_equal(dreams.success, judge.judge(scene))
    assert dreams.source is StateSource.NONE
    assert world.version == f"copy_last-1+{judge.version}"
    assert (world.views, world.size, world.horizon) == (("head", "wrist"), (64, 64), 10)


def test_the_setting_judge_gives_a_model_its_judge(folder: Path, judge: VlmJudge) -> None:
    settings = WorldModelConfig(kind="copy_last", judge=str(folder))
    world = make_world_model(replace(resolve(Config(robot="tabletop")), world_model=settings), TABLETOP)
    assert world.version == f"copy_last-1+{judge.version}"
    rehearse(world, TABLETOP, "press the red button")
