"""`vla-mbpo bench table`: the tables of docs/benchmarks.md, made from the committed raw results."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say


def add(names: Any) -> None:
    parser = new_command(names, "table", "Make Markdown tables from raw results.", run)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="folder of *.jsonl files")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write to this file instead of standard output")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.evaluation.bench_tables import load_results, to_markdown

    results = load_results(args.results)
    text = to_markdown(results)
    if args.write:
        args.write.write_text(text, encoding="utf-8")
        say(f"Wrote {args.write}.")
    emit(args, {"ok": True, "results": results}, lambda: None if args.write else print(text))
    return 0
