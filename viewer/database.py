"""DuckDB over files that may be larger than memory: columns and rows are read as a query asks for them."""
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from viewer.detect import SourceError

MEMORY_LIMIT = "400MB"
THREADS = 4
_SETTINGS = {
    "memory_limit": MEMORY_LIMIT,
    "threads": THREADS,
    "autoinstall_known_extensions": False,  # nothing comes from the network
    "disable_parquet_prefetching": True,  # it would hold a whole row group's column: gigabytes
}
_GLOB = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


class Database:
    """A database in a temporary folder, which goes with it. Queries may come from several threads."""

    def __init__(self):
        folder = tempfile.mkdtemp(prefix="viewer-")
        self.folder = Path(folder)
        self._connection = duckdb.connect(f"{folder}/samples.duckdb",
                                          config={
                                              **_SETTINGS, "temp_directory": f"{folder}/spill"
                                          })
        self._closed = weakref.finalize(self, _close, self._connection, folder)

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query; `values` fill its question marks.

        Raises:
            SourceError: a file is broken or not what it was taken for.
        """
        cursor = self._run(sql, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def column(self, sql: str, values: Sequence[Any] = ()) -> np.ndarray:
        """The one column of a query."""
        column, = self._run(sql, values).fetchnumpy().values()
        return column

    def _run(self, sql: str, values: Sequence[Any]) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.cursor().execute(sql, list(values))
        except duckdb.Error as error:
            raise SourceError(f"the file cannot be read: {str(error).splitlines()[0][:300]}") from error

    def create_table(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """A table of what `batches` yields, on disk, with the column `file_row_number`."""
        cursor, rows = self._connection.cursor(), 0
        cursor.register("incoming", schema.empty_table())
        cursor.execute(f"create table {name} as select *, 0::bigint as file_row_number from incoming")
        for batch in batches:
            cursor.register("incoming", pa.Table.from_batches([batch], schema))
            cursor.execute(f"insert into {name} select *, {rows - 1} + row_number() over () from incoming")
            rows += len(batch)
        cursor.unregister("incoming")

    def close(self) -> None:
        self._closed()


def _close(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    connection.interrupt()
    with suppress(duckdb.Error):  # the interpreter ends while a query runs
        connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def parquet(paths: Sequence[Path]) -> str:
    """The table function that reads these files, as SQL; the paths are taken literally, not as patterns."""
    names = ", ".join(quote(str(path).translate(_GLOB)) for path in paths)
    return f"read_parquet([{names}], file_row_number = true, union_by_name = true)"


def quote(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def contains(column: str) -> str:
    """The condition that a text has what stands at a question mark; case does not matter."""
    return f"{column} ilike ? escape '!'"


def pattern(text: str) -> str:
    """The value for `contains`."""
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"
