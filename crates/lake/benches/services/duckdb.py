"""Answers queries over Parquet files with DuckDB: a JSON value a line in, one a line out."""

import json
import sys
import time

import duckdb

connection = duckdb.connect()
connection.execute("SET threads = 2")
# It would draw it into the answers.
connection.execute("SET enable_progress_bar = false")
for line in sys.stdin:
    asked = json.loads(line)
    for table, files in asked.get("tables", {}).items():
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet({files!r}, union_by_name = true)")
    rows, begun = [], time.perf_counter()
    if "sql" in asked:
        rows = connection.execute(asked["sql"]).fetchall()
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "rows": len(rows), "version": duckdb.__version__}), flush=True)
