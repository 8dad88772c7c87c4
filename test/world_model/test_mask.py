from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.builders import Shape, dynamics_sequence
from vla_mbpo_ros.world_model.mask import mask
from vla_mbpo_ros.world_model.mask_picture import draw, example, picture
from vla_mbpo_ros.world_model.sequence import Block, Kind, Layout, Markers, layout, stages, text

MARKERS = Markers(90, 91)
_texts = st.builds(
    lambda n, free, gone: Block(Kind.TEXT, tuple(range(n)), tokens=n + free, dropped=gone),
    st.integers(1, 3),
    st.integers(0, 2),
    st.booleans(),
)
_images = st.builds(
    lambda kind, tokens, view, gone: Block(kind, view=view, tokens=tokens, dropped=gone),
    st.sampled_from([Kind.VIT, Kind.LATENT, Kind.NOISE]),
    st.integers(1, 3),
    st.integers(0, 2),
    st.booleans(),
)
SEQUENCES = st.lists(st.one_of(_texts, _images), min_size=1, max_size=9)


def _tokens(blocks: list[Block], dense: bool) -> list[tuple[int, str, bool]]:
    """(block, kind, is padding) of every token, written out block by block."""
    found = []
    for number, block in enumerate(blocks):
        if block.dropped and not dense:
            continue
        if block.kind == Kind.TEXT:
            for place in range(block.tokens):
                found.append((number, "text", block.dropped or place >= len(block.ids)))
        else:
            for _ in range(1 + block.tokens + 1):
                found.append((number, "noise" if block.kind == Kind.NOISE else "clean", block.dropped))
    return found


def _sees(tokens: list[tuple[int, str, bool]], row: int, column: int) -> bool:
    """The rule of docs/world_model.md in words."""
    (mine, my_kind, i_pad), (its, its_kind, it_pads) = tokens[row], tokens[column]
    if it_pads:
        return i_pad and row == column
    if mine == its:
        return my_kind != "text" or column <= row
    if its_kind == "noise":
        return False
    return its < mine


@settings(max_examples=150, deadline=None)
@given(SEQUENCES, st.booleans())
def test_the_mask_is_the_rule_token_by_token(blocks: list[Block], dense: bool) -> None:
    tokens = _tokens(blocks, dense)
    if not tokens:
        with pytest.raises(ContractError):
            layout(blocks, MARKERS, dense)
        return
    wanted = [[_sees(tokens, row, column) for column in range(len(tokens))] for row in range(len(tokens))]
    np.testing.assert_array_equal(mask(layout(blocks, MARKERS, dense)), wanted)


@settings(max_examples=60, deadline=None)
@given(SEQUENCES, SEQUENCES)
def test_sequences_laid_end_to_end_do_not_see_each_other(first: list[Block], second: list[Block]) -> None:
    blocks = [text([1]), *first, text([1]), *second]
    whole, left = layout(blocks, MARKERS), layout(blocks[: len(first) + 1], MARKERS)
    sample = (np.arange(len(whole)) >= len(left)).astype(np.int64)
    seen = mask(whole, sample)
    np.testing.assert_array_equal(seen[: len(left), : len(left)], mask(left))
    np.testing.assert_array_equal(seen[len(left) :, len(left) :], mask(layout(blocks[len(first) + 1 :], MARKERS)))
    assert not seen[: len(left), len(left) :].any()
    assert not seen[len(left) :, : len(left)].any()


@settings(max_examples=60, deadline=None)
@given(SEQUENCES, st.booleans())
def test_every_token_sees_something(blocks: list[Block], dense: bool) -> None:
    """A softmax over nothing would be no number, and spread through the batch."""
    assert mask(layout([text([1]), *blocks], MARKERS, dense)).any(axis=1).all()


def _reached(whole: Layout) -> np.ndarray:
    """(L, L) True where the column's content can arrive at the row through any number of layers."""
    reach = mask(whole)
    for _ in range(len(whole).bit_length()):
        reach = reach @ reach
    return reach


def _dynamics(views: int, ivd: bool, vit: int = 1) -> Layout:
    shape = Shape(views, latent_tokens=2, vit_tokens=vit, ivd=ivd)
    return layout(dynamics_sequence(shape, [1, 2], [[3, 4]] * views), MARKERS)


@pytest.mark.parametrize("views", [1, 2, 3, 5])
@pytest.mark.parametrize("ivd", [True, False])
def test_what_is_being_made_reaches_nobody_but_itself(views: int, ivd: bool) -> None:
    whole = _dynamics(views, ivd)
    reach = _reached(whole)
    for number in whole.images(Kind.NOISE):
        inside = whole.block == number
        assert reach[np.ix_(inside, inside)].all()
        assert not reach[np.ix_(~inside, inside)].any()


@pytest.mark.parametrize("views", [2, 3, 5])
def test_a_view_knows_the_future_of_the_views_before_it_and_of_no_other(views: int) -> None:
    whole = _dynamics(views, ivd=True)
    seen, reach, future = mask(whole), _reached(whole), (whole.time == 1) & (whole.kind != Kind.TEXT)
    for view in range(views):
        noise = (whole.kind == Kind.NOISE) & (whole.view == view)
        for other in range(views):
            clean = future & (whole.view == other) & (whole.kind != Kind.NOISE)
            assert seen[np.ix_(noise, clean)].all() == (other < view or not clean.any())
            assert reach[np.ix_(noise, clean)].any() == (other < view)


@pytest.mark.parametrize("views", [2, 3, 5])
def test_without_interleaving_no_view_knows_another_future(views: int) -> None:
    whole = _dynamics(views, ivd=False)
    reach, future = _reached(whole), (whole.time == 1) & (whole.kind != Kind.TEXT)
    for view in range(views):
        noise = (whole.kind == Kind.NOISE) & (whole.view == view)
        assert not reach[np.ix_(noise, future & (whole.view != view))].any()


@pytest.mark.parametrize("ivd", [True, False])
@pytest.mark.parametrize("vit", [0, 1])
def test_sampling_by_stages_sees_what_training_sees(ivd: bool, vit: int) -> None:
    """With a cache of all fills so far, nothing that training saw is missing and nothing is added."""
    whole = _dynamics(3, ivd, vit)
    seen = mask(whole)
    cache = np.zeros(len(whole), dtype=bool)
    for stage in stages(whole):
        cache[stage.fill] = True
        inside = np.zeros(len(whole), dtype=bool)
        inside[stage.noise] = True
        assert not seen[stage.fill][:, ~cache].any()
        np.testing.assert_array_equal(seen[stage.noise], np.tile(cache | inside, (inside.sum(), 1)))
    assert [stage.view for stage in stages(whole)] == [0, 1, 2]


def test_the_page_shows_the_picture_that_the_code_makes() -> None:
    page = Path("docs/world_model.md").read_text(encoding="utf-8")
    assert picture(example()) in page
    assert picture(example(ivd=False, vit=False)) in page


def test_the_image_of_the_page_can_be_drawn_anew(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    draw(example(), tmp_path / "mask.png")
    made = np.asarray(image.open(tmp_path / "mask.png").convert("RGB"))
    assert len(np.unique(made.reshape(-1, 3), axis=0)) > 3


def test_sample_numbers_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(ContractError, match="sample numbers"):
        mask(_dynamics(2, True), np.zeros(3, dtype=np.int64))
