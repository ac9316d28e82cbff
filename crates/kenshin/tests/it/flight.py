"""Asks over Arrow Flight SQL with ADBC: a JSON value a line in, one a line out."""

import datetime
import json
import sys

import adbc_driver_flightsql.dbapi as flightsql


def plain(value):
    """As the program's own JSON writes it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        # With no, three or six digits after the seconds, whichever tells all.
        digits = "auto" if value.microsecond % 1000 or not value.microsecond else "milliseconds"
        return value.replace(tzinfo=None).isoformat(timespec=digits)
    raise TypeError(f"{type(value)} is not expected")


def answer(asked):
    global connection
    if "connect" in asked:
        connection = flightsql.connect(asked["connect"], db_kwargs=asked["options"], autocommit=True)
        return {"driver": connection.adbc_get_info()["driver_version"]}
    if "schema" in asked:
        return {"columns": connection.adbc_get_table_schema(asked["schema"]).names}
    if "objects" in asked:
        catalogs = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        schemas = [schema for catalog in catalogs for schema in catalog["catalog_db_schemas"]]
        tables = [table for schema in schemas for table in schema["db_schema_tables"]]
        return {table["table_name"]: len(table["table_columns"]) for table in tables}
    with connection.cursor() as cursor:
        if "parameters" in asked:
            cursor.execute(asked["sql"], asked["parameters"])
        elif "update" in asked:
            cursor.executescript(asked["update"])
        elif "ingest" in asked:
            cursor.adbc_ingest("services", __import__("pyarrow").table({"port": [1]}), mode="append")
        else:
            cursor.execute(asked["sql"])
        return {"rows": cursor.fetch_arrow_table().to_pylist()}


connection = None
for line in sys.stdin:
    try:
        told = answer(json.loads(line))
    except Exception as error:
        told = {"error": str(error)}
    print(json.dumps(told, default=plain), flush=True)
