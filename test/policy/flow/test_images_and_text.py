from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.policy.flow.images import resize_with_pad, to_network  # noqa: E402
from vla_mbpo_ros.policy.flow.text import (  # noqa: E402
    ByteTokenizer,
    SentencePieceTokenizer,
    bins,
    make_tokenizer,
    padded,
    prompt_tokens,
)


def _photo(height: int, width: int) -> np.ndarray:
    """Smooth shapes and some noise, as a camera gives it."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    channels = [np.sin(7 * x + 3 * y), np.cos(9 * y), np.sin(5 * x * y)]
    noise = np.random.default_rng(0).normal(0.0, 8.0, (height, width, 3))
    return np.clip(127.5 + 100.0 * np.stack(channels, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (300, 200), (100, 90)])
def test_images_are_resized_as_an_image_library_does_it(height: int, width: int) -> None:
    """openpi resizes with Pillow, in training and when acting: ours is within one level of 255."""
    image, size = _photo(height, width), 224
    ours = (to_network(image, size, antialias=True).permute(1, 2, 0).numpy() + 1.0) * 127.5
    ratio = max(width, height) / size
    inner = (int(width / ratio), int(height / ratio))
    small = Image.fromarray(image).resize(inner, Image.Resampling.BILINEAR)
    wanted = Image.new("RGB", (size, size))
    wanted.paste(small, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    assert np.abs(ours - np.asarray(wanted, dtype=np.float64)).max() <= 1.001


def test_an_image_of_the_right_size_is_left_alone() -> None:
    image = _photo(28, 28)
    np.testing.assert_allclose((to_network(image, 28, True).permute(1, 2, 0) + 1.0) * 127.5, image, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(8, 90), st.integers(8, 90), st.booleans())
def test_nothing_is_stretched_and_the_border_is_black(height: int, width: int, antialias: bool) -> None:
    made = resize_with_pad(torch.full((3, height, width), 200.0), 32, antialias)
    assert made.shape == (3, 32, 32)
    lit = made[0] > 100.0
    inner = (int(lit.any(dim=1).sum()), int(lit.any(dim=0).sum()))
    ratio = max(height, width) / 32
    assert inner == (int(height / ratio), int(width / ratio))
    assert bool((made[0][~lit] == 0.0).all())


def test_the_state_falls_into_256_bins() -> None:
    assert bins(np.array([-1.01, -1.0, -0.9999, 0.0, 0.9999, 1.0, 5.0])) == [-1, 0, 0, 128, 255, 255, 255]


@given(st.lists(st.floats(-1.0, 0.9999), min_size=1, max_size=20))
def test_a_bin_holds_its_number(state: list[float]) -> None:
    for number, found in zip(state, bins(np.array(state)), strict=True):
        assert -1.0 + found / 128.0 <= number < -1.0 + (found + 1) / 128.0


def test_prompts_have_the_form_that_the_weights_have_learnt() -> None:
    def text(form: str) -> str:
        tokens = prompt_tokens(ByteTokenizer(), form, " press_the\nred button ", np.array([0.0, -2.0]))
        assert tokens[0] == ByteTokenizer.bos
        return bytes(token - 3 for token in tokens[1:]).decode()

    assert text("plain") == "press the red button\n"
    assert text("state") == "Task: press the red button, State: 128 -1;\nAction: "


def test_a_prompt_is_padded_or_refused_but_never_cut() -> None:
    assert padded([5, 6], 4, "go") == ([5, 6, 0, 0], [True, True, False, False])
    with pytest.raises(ContractError, match="makes 3 tokens, the policy takes 2"):
        padded([1, 2, 3], 2, "go")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, small sentencepiece model, trained here."""
    pieces = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    words = ["press the red button", "put the cube on the pad", "Task State Action 0123456789 -1;:,"] * 20
    model = io.BytesIO()
    pieces.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,  # so few sentences do not fill it
        bos_id=2,
        eos_id=1,
        pad_id=0,
        unk_id=3,
        minloglevel=2,
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return path


def test_a_sentencepiece_file_makes_tokens(model_file: Path) -> None:
    tokenizer = make_tokenizer(model_file)
    assert (tokenizer.name, tokenizer.bos) == ("sentencepiece", 2)
    tokens = prompt_tokens(tokenizer, "plain", "press the button", np.zeros(0))
    assert tokens[0] == 2
    assert 2 < len(tokens) < 20
    assert max(tokens) < tokenizer.vocab_size <= 60


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    with pytest.raises(ConfigError, match="There is no tokenizer"):
        SentencePieceTokenizer(tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer.model").write_text("no model")
    with pytest.raises(ConfigError, match="is no sentencepiece model"):
        SentencePieceTokenizer(tmp_path / "tokenizer.model")
