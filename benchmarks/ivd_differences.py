"""With interleaved view decoding against without: means over seeds, and the difference with its interval.

    python benchmarks/ivd_differences.py runs/ivd/table/table1.json

The file has models ivd_0, no_ivd_0, ivd_1 …: a pair a seed. The interval is Student's over the pairs (95 %).
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # 97.5 % quantile of so many pairs
WRIST = {
    "wrist PSNR, one chunk [dB]": ("one_chunk", "fidelity", "wrist", "psnr", "all"),
    "wrist PSNR, four chunks [dB]": ("rolled", "fidelity", "wrist", "psnr", "all"),
    "where it changed, one chunk [dB]": ("one_chunk", "fidelity", "wrist", "changed_psnr", "all"),
}
VIEWS = {
    "disagreement [mm]": "disagreement_mm",
    "5 cm off or more": "far_off",
    "correlation": "correlation",
    "of samples": "correlation_of_samples",
}


def main() -> None:
    models = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["models"]
    seeds = sorted(name.removeprefix("ivd_") for name in models if name.startswith("ivd_"))
    if len(seeds) not in STUDENT:
        sys.exit(f"{len(seeds)} pairs: give two to five.")
    agreement = {
        f"{what}, slip {slip}": ("agreement", f"slip {slip}", key) for slip in (0, 1) for what, key in VIEWS.items()
    }
    print("| | with | without | difference | seeds |\n| --- | --- | --- | --- | --- |")
    for what, way in {**WRIST, **agreement}.items():
        ours = [_value(models[f"ivd_{seed}"], way) for seed in seeds]
        theirs = [_value(models[f"no_ivd_{seed}"], way) for seed in seeds]
        print(f"| {what} | {_row(ours, theirs)} |")


def _value(numbers: Mapping[str, Any], way: tuple[str, ...]) -> float:
    for name in way:
        numbers = numbers[name]
    return float(numbers["value"])


def _row(ours: list[float], theirs: list[float]) -> str:
    each = [one - other for one, other in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(each)
    half = STUDENT[len(each)] * statistics.stdev(each) / math.sqrt(len(each))
    cells = (f"{statistics.fmean(ours):.3f}", f"{statistics.fmean(theirs):.3f}")
    return " | ".join(
        (*cells, f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})", ", ".join(f"{one:+.3f}" for one in each))
    )


if __name__ == "__main__":
    main()
