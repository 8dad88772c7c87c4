"""Tables say what the raw results say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.evaluation.bench_tables import load_results, to_markdown

ROWS = [
    {"bench": "twin", "steps_per_s": 351.4, "cameras": {"head": [64, 64]}},
    {"bench": "transport", "sent": 450, "lost": 0, "p95_ms": 7.912},
    {"bench": "twin", "steps_per_s": 33.333, "note": "busy"},
]


def test_every_result_is_a_row_of_its_benchmarks_table(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n")
    text = to_markdown(load_results(tmp_path))
    assert text.index("## transport") < text.index("## twin")
    assert "| 450 | 0 | 7.91 |" in text
    assert "| 351 | head 64x64 | – |" in text
    assert "| 33.3 | – | busy |" in text


def test_what_a_run_says_of_its_parts_is_a_table_below_it() -> None:
    run = {"bench": "kill", "at": "noon", "times": 2, "kills": [{"lost_s": 0.1, "recovered": True}, {"lost_s": 0.2}]}
    text = to_markdown([run])
    assert "| noon | 2 |" in text
    assert "kills of noon" in text
    assert "| 0.1 | yes |\n| 0.2 | – |" in text


def test_no_results_is_an_error_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Make some"):
        load_results(tmp_path)


def test_the_committed_page_is_what_the_committed_results_give() -> None:
    page = Path("docs/benchmarks.md")
    assert page.read_text(encoding="utf-8") == to_markdown(load_results(Path("benchmarks/results")))
