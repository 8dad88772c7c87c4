"""The parquet and JSON files of a LeRobot data set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from vla_mbpo_ros.data.formats.lerobot import layout
from vla_mbpo_ros.data.formats.lerobot.stats import Stats, as_lists
from vla_mbpo_ros.data.formats.optional import need

_INDEX = "__index_level_0__"  # what pandas calls an index without a name; lerobot reads tasks by it


class RowPart:
    """The rows of one episode, in a file of their own."""

    def __init__(self, path: Path, columns: Mapping[str, Any]) -> None:
        pa, parquet = need("pyarrow"), need("pyarrow.parquet")
        self._schema = pa.schema(list(columns.items()))
        self._file = parquet.ParquetWriter(path, self._schema)

    def write(self, columns: Mapping[str, Any]) -> None:
        pa = need("pyarrow")
        arrays = [_array(pa, columns[field.name], field.type) for field in self._schema]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def __enter__(self) -> RowPart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def write_tasks(folder: Path, tasks: Mapping[str, int]) -> None:
    """As pandas writes a frame whose index is the instruction."""
    pa, parquet = need("pyarrow"), need("pyarrow.parquet")
    table = pa.table({"task_index": pa.array(tasks.values(), pa.int64()), _INDEX: pa.array(tasks, pa.string())})
    pandas: dict[str, Any] = {"index_columns": [_INDEX], "column_indexes": []}
    pandas["columns"] = [_pandas("task_index", "task_index", "int64"), _pandas(None, _INDEX, "unicode")]
    path = folder / layout.TASKS
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def write_episodes(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    pa, parquet = need("pyarrow"), need("pyarrow.parquet")
    path = folder / layout.EPISODES_PATH.format(**layout.place(0))
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)


def write_stats(folder: Path, stats: Mapping[str, Stats]) -> None:
    text = json.dumps({name: as_lists(values) for name, values in stats.items()}, indent=4)
    (folder / layout.STATS).write_text(text, encoding="utf-8")


def stats_columns(stats: Mapping[str, Stats]) -> dict[str, Any]:
    """As columns of meta/episodes: stats/<feature>/<statistic>."""
    columns: dict[str, Any] = {}
    for feature, values in stats.items():
        columns.update({f"stats/{feature}/{name}": value for name, value in as_lists(values).items()})
    return columns


def _array(pa: Any, values: Any, kind: Any) -> Any:
    if getattr(values, "ndim", 1) == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1), kind.value_type), type=kind)
    if isinstance(values, Iterable) and not hasattr(values, "dtype"):
        return pa.array(list(values), kind)
    return pa.array(values.tolist() if values.dtype.kind == "U" else values, kind)


def _pandas(name: str | None, field: str, kind: str) -> dict[str, Any]:
    numpy_type = "object" if kind == "unicode" else kind
    return {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}
