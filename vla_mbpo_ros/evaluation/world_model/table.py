"""Models side by side, in the layout of the paper's Table 1: Markdown for people, CSV for programs.

Every number of the Markdown has its interval. The paper's own stand below, for they are of other data.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vla_mbpo_ros.evaluation.lpips import NOT_COMPUTED
from vla_mbpo_ros.evaluation.positions import GRIPPER
from vla_mbpo_ros.evaluation.world_model.agreement import ONE_FUTURE, TWO_FUTURES
from vla_mbpo_ros.evaluation.world_model.counterfactual import BOTH
from vla_mbpo_ros.evaluation.world_model.places import OBJECTS

Numbers = Mapping[str, Any]  # what `report.examine` tells of a model
HEAD, WRIST = "head", "wrist"
NOTHING = "–"
# LPIPS, PSNR, SSIM of the head; of the wrist; time (no unit is given); ACC in %; F1
PAPER: Mapping[str, tuple[str, ...]] = {
    "Ctrl-World": ("0.150", "21.95", "0.882", "0.435", "13.87", "0.680", "21", NOTHING, NOTHING),
    "Qwen3-VL-8B": (NOTHING,) * 7 + ("97.0", "0.841"),
    "UMM-World": ("0.094", "23.29", "0.906", "0.254", "18.76", "0.751", "10", "98.4", "0.861"),
    "w/o IVD": ("0.116", "21.71", "0.895", "0.454", "13.38", "0.559", "8", "98.5", "0.799"),
    "w/o PT": ("0.281", "19.26", "0.756", "0.579", "12.80", "0.499", "10", "94.5", "0.496"),
}
_METRICS = ("lpips", "psnr", "ssim")
_COLUMNS = [f"{view} {metric.upper()}" for view in (HEAD, WRIST) for metric in _METRICS]


def to_markdown(models: Mapping[str, Numbers], truth: Numbers, notes: Sequence[str] = ()) -> str:
    """All tables, one below the other."""
    return "\n".join([*_first(models, truth), *_controls(models, truth), *_growth(models), *_slices(models), *notes])


def to_csv(models: Mapping[str, Numbers]) -> str:
    """A row for each number: model, what, value, low, high, n, episodes."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["model", "what", "value", "low", "high", "n", "episodes"])
    for name, numbers in models.items():
        for what, leaf in _leaves(numbers):
            writer.writerow([name, what, *leaf])
    return lines.getvalue()


# ---- Markdown ------------------------------------------------------------------------------------------------------


def _first(models: Mapping[str, Numbers], truth: Numbers) -> list[str]:
    head = ["model", *_COLUMNS, "s/chunk", "ACC true", "F1 true", "ACC dreams", "F1 dreams"]
    head += ["F1 ends true", "F1 ends dreams"]
    said = (
        f"{truth['windows']} windows of {truth['episodes']} held-out episodes, rolled on the model's own dreams; "
        f"in brackets 95 % over episodes. ACC and F1 of single chunks: what the model says of the true picture and of "
        f"its own dream ({truth['chunks']} chunks, {truth['successes']} of them end in success; {_dreamt(models)} are "
        "dreamt), F1 ends of every episode's last one. s/chunk: one alone."
    )
    rows = [[name, *_row(numbers)] for name, numbers in models.items()]
    paper = [[name, *numbers] for name, numbers in PAPER.items()]
    reference = "The paper's own numbers, of LIBERO-Object at another size with other data; not to be compared:"
    return [
        "# Table 1",
        "",
        said,
        "",
        *_table(head, rows),
        "",
        reference,
        "",
        *_table(["model", *_COLUMNS, "time", "ACC %", "F1"], paper),
        "",
    ]


def _dreamt(models: Mapping[str, Numbers]) -> int:
    """Single chunks."""
    return int(next(iter(models.values()))["one_chunk"]["fidelity"][HEAD]["psnr"]["all"]["n"])


def _row(numbers: Numbers) -> list[str]:
    found = numbers["rolled"]["fidelity"]
    cells = [_all(found[view][metric]) for view in (HEAD, WRIST) for metric in _METRICS]
    judged = numbers["one_chunk"]["judged"]
    verdicts = [_verdict(judged[of], what) for of in ("truth", "dreams") for what in ("accuracy", "f1")]
    verdicts += [_verdict(numbers["ends"][of], "f1") for of in ("truth", "dreams")]
    return [*cells, _number(numbers["chunk_s"]), *verdicts]


def _controls(models: Mapping[str, Numbers], truth: Numbers) -> list[str]:
    head = ["model", "changed PSNR head", "changed PSNR wrist", "shuffled PSNR head", "shuffled PSNR wrist"]
    head += ["opposite chunks", "head", "wrist", "gripper [px]", "objects [px]", "objects lost", "made up"]
    rows = [[name, *_control_row(numbers)] for name, numbers in models.items()]
    together = ["model", *[f"{what}, {slip}" for slip in _slips(models) for what in _AGREEMENT.values()]]
    lines = [[name, *_agreement_row(numbers["agreement"])] for name, numbers in models.items()]
    for future in (ONE_FUTURE, TWO_FUTURES):
        scales = {slip: truth["agreement_scale"].get(slip, {}).get(future, {}) for slip in _slips(models)}
        lines.append([f"simulator, {future.replace('_', ' ')}", *_agreement_row(scales)])
    return [
        "## Controls and places",
        "",
        "Changed: pixels that differ from the window's first picture. Shuffled: the chunks of another episode of the "
        "task. Opposite chunks: both dreams nearer to their own truth. Places: single chunks, head's view.",
        "",
        *_table(head, rows),
        "",
        "## Do both views of a dream agree?",
        "",
        "Where the head's view places a thing and where the wrist's does, each against the truth, in mm. The scale is "
        "the simulator's: both views of one other future, and views of two.",
        "",
        *_table(together, lines),
        "",
    ]


_AGREEMENT = {
    "disagreement_mm": "disagreement [mm]",
    "far_off": "5 cm off or more",
    "correlation": "correlation",
    "correlation_of_samples": "of samples",
}


def _control_row(numbers: Numbers) -> list[str]:
    rolled, other = numbers["rolled"]["fidelity"], numbers["shuffled"]["fidelity"]
    pairs, spots = numbers["counterfactual"], numbers["one_chunk"]["places"][HEAD]
    things = spots[OBJECTS][0]
    return [
        *(_all(rolled[view]["changed_psnr"]) for view in (HEAD, WRIST)),
        *(_all(other[view]["psnr"]) for view in (HEAD, WRIST)),
        *(f"{pairs[what]['right']} of {pairs[what]['n']}{_interval(pairs[what])}" for what in (BOTH, HEAD, WRIST)),
        _cell(spots[GRIPPER][0]["error_px"]),
        _cell(things["error_px"]),
        _cell(things["lost"]),
        str(things["made_up"]),
    ]


def _agreement_row(by_slip: Numbers) -> list[str]:
    return [_cell(found.get(what)) for found in by_slip.values() for what in _AGREEMENT]


def _slips(models: Mapping[str, Numbers]) -> list[str]:
    return list(next(iter(models.values()))["agreement"])


def _growth(models: Mapping[str, Numbers]) -> list[str]:
    chunks = len(next(iter(models.values()))["rolled"]["fidelity"][HEAD]["psnr"]["by_chunk"])
    lines = ["## How errors grow", "", "PSNR after so many chunks.", ""]
    head = ["model", "view", *(str(chunk + 1) for chunk in range(chunks))]
    rows = [
        [name, view, *map(_cell, numbers["rolled"]["fidelity"][view]["psnr"]["by_chunk"])]
        for name, numbers in models.items()
        for view in (HEAD, WRIST)
    ]
    return [*lines, *_table(head, rows), ""]


def _slices(models: Mapping[str, Numbers]) -> list[str]:
    rows = [
        [name, view, what, str(found["psnr"]["n"]), _cell(found["psnr"]), _cell(found["changed_psnr"])]
        for name, numbers in models.items()
        for view in (HEAD, WRIST)
        for what, found in numbers["one_chunk"]["slices"][view].items()
    ]
    head = ["model", "view", "slice", "chunks", "PSNR", "changed PSNR"]
    return ["## Where it is hard", "", "Single chunks from real pictures.", "", *_table(head, rows), ""]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _all(metric: Any) -> str:
    return NOT_COMPUTED if metric == NOT_COMPUTED else _cell(metric["all"])


def _cell(leaf: Any) -> str:
    """An estimate with its interval."""
    if not leaf or not math.isfinite(leaf["value"]):
        return NOTHING
    return _number(leaf["value"]) + _interval(leaf)


def _interval(leaf: Numbers) -> str:
    return f" [{_number(leaf['low'])}, {_number(leaf['high'])}]" if math.isfinite(leaf["low"]) else ""


def _verdict(judged: Numbers | None, what: str) -> str:
    return NOTHING if judged is None else _cell(judged[what])


def _number(value: float) -> str:
    if abs(value) >= 10.0:
        return f"{value:.1f}"
    return f"{value:.3f}" if abs(value) < 1.0 else f"{value:.2f}"


# ---- CSV -----------------------------------------------------------------------------------------------------------


def _leaves(numbers: Any, way: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Every number with the way to it."""
    if isinstance(numbers, Mapping) and "low" in numbers:
        value = numbers["value"] if "value" in numbers else numbers["share"]
        yield way, [value, numbers["low"], numbers["high"], numbers["n"], numbers.get("groups", "")]
    elif isinstance(numbers, (Mapping, list)):
        pairs = numbers.items() if isinstance(numbers, Mapping) else enumerate(numbers)
        for name, inner in pairs:
            yield from _leaves(inner, f"{way}.{name}" if way else str(name))
    elif isinstance(numbers, (int, float)):
        yield way, [numbers, "", "", "", ""]
