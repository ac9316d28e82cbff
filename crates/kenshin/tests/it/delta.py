"""Asks a lake's tables with DuckDB, which reads them by their Delta logs: a query a line in, rows a line out."""

import datetime
import glob
import json
import os
import sys

import duckdb
import duckdb_extension_delta

lake = sys.argv[1]
connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
folder = os.path.dirname(duckdb_extension_delta.__file__)
[extension] = glob.glob(f"{folder}/extensions/v{duckdb.__version__}/delta.duckdb_extension")
connection.load_extension(extension)
for table in sorted(os.listdir(lake)):
    connection.execute(f"CREATE VIEW {table} AS SELECT * FROM delta_scan('{lake}/{table}')")
# Of several rows about one service the one that was asked last holds.
connection.execute(
    f"""CREATE OR REPLACE VIEW services AS SELECT * FROM delta_scan('{lake}/services')
    QUALIFY row_number() OVER (PARTITION BY addr_hi, addr_lo, port, transport, protocol
                               ORDER BY asked_us DESC, known_us DESC) = 1"""
)


def plain(value):
    """As the program's own JSON writes it."""
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value)} is not expected")


for line in sys.stdin:
    found = connection.execute(json.loads(line))
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row)) for row in found.fetchall()]
    print(json.dumps(rows, default=plain), flush=True)
