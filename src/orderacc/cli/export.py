"""`orderacc export`: what the journal holds, for other programs."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orderacc.cli.journal_files import DataDir, Since, Stations, Until, data_dir, span
from orderacc.errors import StorageError
from orderacc.storage.export import Table  # noqa: TC001  typer reads it

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer()

ROWS: Final = 5000
"""Rows of a Parquet file written at a time."""


@app.command()
def export(
    table: Annotated[Table, typer.Argument(help="What.")] = "verdicts",
    stations: Stations = None,
    folder: DataDir = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A file ending in .ndjson or .parquet; standard output if none.")
    ] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Write what the journal holds as lines of JSON, or as a Parquet file; the daemon may go on meanwhile.

    Parquet needs the extra of that name: pip install 'orderacc[parquet]'.

    Example: orderacc export verdicts --stations stations.yaml --since 2026-11-01 -o november.ndjson
    """
    from orderacc.storage.backup import open_for_reading
    from orderacc.storage.export import records
    from orderacc.storage.journal import FILE_NAME
    from orderacc.storage.records import time_text

    if out is not None and out.suffix not in {".ndjson", ".parquet"}:
        raise typer.BadParameter(f"{out} should end in .ndjson or .parquet", param_hint="--out")
    first, last = span(since, until)
    with closing(open_for_reading(data_dir(stations, folder) / FILE_NAME)) as connection:
        rows = records(connection, table, time_text(first) if first else "", time_text(last) if last else "~")
        if out is None:
            for row in rows:
                sys.stdout.write(_line(row))
        elif out.suffix == ".parquet":
            print(f"{out}: {_write_parquet(out, table, rows)} {table}")
        else:
            print(f"{out}: {_write_lines(out, rows)} {table}")


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


def _write_lines(out: Path, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with out.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(_line(row))
            count += 1
    return count


def _write_parquet(out: Path, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    """Write in parts, so that any number of rows fits into memory; what is nested is JSON text."""
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        message = "Parquet needs the extra parquet: pip install 'orderacc[parquet]'"
        raise StorageError(message, code="extra_missing") from None
    from orderacc.storage.export import column_types, flat

    types = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in column_types(table).items()])
    left, count = iter(rows), 0
    with ParquetWriter(out, schema) as writer:
        while part := [flat(row) for row in islice(left, ROWS)]:
            columns = [pa.array([row.get(name) for row in part], schema.field(name).type) for name in schema.names]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(part)
    return count
