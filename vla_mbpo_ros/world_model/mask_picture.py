"""The mask of a small sequence, as 0 and 1 and as an image.

python -m vla_mbpo_ros.world_model.mask_picture                      the text in docs/world_model.md
python -m vla_mbpo_ros.world_model.mask_picture docs/images/mask.png
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vla_mbpo_ros.world_model.builders import Shape, dynamics_sequence
from vla_mbpo_ros.world_model.mask import mask
from vla_mbpo_ros.world_model.sequence import Block, Kind, Layout, Markers, layout

_SHOWN = 2  # tokens of a block: enough to tell a text, which is causal, from an image, which is whole


def example(ivd: bool = True, vit: bool = True) -> Layout:
    """Two views; every block is cut to a few tokens."""
    shape = Shape(views=2, latent_tokens=2, vit_tokens=2 if vit else 0, ivd=ivd)
    return layout(dynamics_sequence(shape, [1, 1], [[1, 1], [1, 1]]), Markers(2, 3))


def picture(whole: Layout) -> str:
    """Two tokens a block, each a row (who looks) and a column (at whom), with its place for the rotary embedding."""
    seen = mask(whole)
    rows = [(index, token) for index, start in enumerate(whole.starts) for token in range(start, start + _SHOWN)]
    lines = []
    for number, (index, token) in enumerate(rows):
        name = _name(whole.blocks[index]) if number % _SHOWN == 0 else ""
        cells = "".join(f"{int(seen[token, other])}{' ' * (place % _SHOWN)}" for place, (_, other) in enumerate(rows))
        lines.append(f"{name:<21} {whole.position[token]:>2}  {cells}".rstrip())
    return "\n".join(lines)


def draw(whole: Layout, path: Path) -> None:
    """The whole mask as an image; the block that is seen while it is made in another colour."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    seen = mask(whole).astype(np.int64)
    seen[:, whole.kind == Kind.NOISE] *= 2
    figure = Figure(figsize=(9.0, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(seen, cmap=ListedColormap(["#f3f3f0", "#3b6ea5", "#d9822b"]), vmin=0, vmax=2)
    places = [whole.place(index) for index in range(len(whole.blocks))]
    middles = [(place.start + place.stop - 1) / 2.0 for place in places]
    names = [_name(block) for block in whole.blocks]
    axes.set_xticks(middles, names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(middles, names)
    for place in places[1:]:
        axes.axhline(place.start - 0.5, color="white", linewidth=1.0)
        axes.axvline(place.start - 0.5, color="white", linewidth=1.0)
    axes.tick_params(length=0)
    axes.set_xlabel("is seen")
    axes.set_ylabel("sees")
    axes.set_title("Blue: seen. Orange: seen by itself only, while it is made.")
    figure.savefig(path, dpi=110)


def _name(block: Block) -> str:
    if block.kind is Kind.TEXT:
        return "task" if block.view < 0 else f"predict {_view(block.view)}"
    when = "t+1" if block.time else "t"
    return f"{_view(block.view)} {when} {block.kind.name}"


def _view(view: int) -> str:
    return "head" if view == 0 else "wrist"


def main(arguments: Sequence[str]) -> None:
    if arguments:
        draw(example(), Path(arguments[0]))
    else:
        print(picture(example()))


if __name__ == "__main__":
    main(sys.argv[1:])
