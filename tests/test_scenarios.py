"""Runs every folder of tests/scenarios: files are delivered, then the tables must hold what the folder expects.

How to add one, without Python, stands in tests/scenarios/README.md. All scenarios share one lake, each as a source of
its own with the folder's name: tables are made once, and what one source delivers must not touch another.
"""

import csv
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from meterlake.sources.catalog import read_source
from meterlake.tables.catalog import TABLES
from meterlake.tables.store import Store
from meterlake.tables.table import Table
from tests.conftest import settings_for
from tests.lake import deliver

FOLDERS = sorted(folder for folder in (Path(__file__).parent / "scenarios").iterdir() if (folder / "expected").is_dir())
COMMENT = "why"  # a column of an expected file that is for people
DIGITS = 6
READ: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int": int,
    "bigint": int,
    "double": lambda text: round(float(text), DIGITS),
    "decimal(18,4)": Decimal,
    "boolean": {"true": True, "false": False}.__getitem__,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamp_ntz": datetime.fromisoformat,
    "array<string>": lambda text: tuple(sorted(part.strip() for part in text.split(";"))),
}

Row = tuple[Any, ...]

every_scenario = pytest.mark.parametrize("folder", [pytest.param(folder, id=folder.name) for folder in FOLDERS])


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(spark, settings_for(tmp_path_factory.mktemp("scenarios")))


@every_scenario
def test_scenario(folder: Path, lake: Store) -> None:
    expected = expected_files(folder)
    source = read_source(folder / "source.toml").model_copy(update={"name": folder.name})
    for delivery in sorted(folder.glob("*-delivery")):
        run_id = f"{folder.name}.{delivery.name}"
        deliver(lake.spark, lake.settings, delivery, *steps_for(set(expected)), source=source, run_id=run_id)
    told = [difference(file, TABLES[table], lake) for table, file in expected.items()]
    assert not any(told), "\n".join(["", *filter(None, told)])


@every_scenario
def test_scenario_says_what_it_shows(folder: Path) -> None:
    assert {"given", "when", "then"} <= set((folder / "README.md").read_text().lower().split())


def test_a_difference_names_the_table_and_the_rows() -> None:
    expected, found = [("a", 1.0), ("a", 1.0), ("b", None)], [("a", 1.0), ("b", 2.5)]
    assert compared(("meter_id", "kwh"), expected, found) == [
        "      meter_id,kwh",
        "    - a,1.0",
        "    - b,",
        "    + b,2.5",
    ]
    assert compared(("meter_id", "kwh"), expected, expected[::-1]) == []


def expected_files(folder: Path) -> dict[str, Path]:
    """Table -> its expected file."""
    files = {file.stem: file for file in sorted((folder / "expected").iterdir())}
    assert files, f"{folder / 'expected'} has no file"
    assert not (unknown := set(files) - set(TABLES)), f"{folder}: no table is called {', '.join(sorted(unknown))}"
    return files


def steps_for(tables: set[str]) -> list[str]:
    """The steps up to the last one that fills one of the tables. Scores are left out: they need a trained model."""
    marts = any(table.startswith("mart_") for table in tables)
    sums = marts or any(table.startswith("int_") for table in tables)
    return ["ingest", "stage", *(["aggregate"] if sums else []), *(["marts"] if marts else [])]


def difference(file: Path, table: Table, lake: Store) -> str:
    """In what the table differs from its expected file, for people; "" where it does not."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        names = [name for name in rows.fieldnames or [] if name != COMMENT]
        unknown = sorted(set(names) - set(table.names))
        assert not unknown, f"{file}: {table.name} has no column {', '.join(unknown)}"
        expected = [tuple(value_of(row[name], table, name) for name in names) for row in rows]
    folder = file.parent.parent
    stand = lake.read(table, folder.name).select(names).collect()
    differs = compared(tuple(names), expected, [tuple(shown(value, folder) for value in row) for row in stand])
    if not differs:
        return ""
    return "\n".join([f"{table.name} is not what {file} expects (- is missing, + is too much):", *differs])


def value_of(text: str, table: Table, name: str) -> Any:
    """A field of an expected file as a value; an empty one is null."""
    (kind,) = (column.type for column in table.columns if column.name == name)
    return READ[kind](text) if text else None


def shown(value: Any, folder: Path) -> Any:
    """A value of a table as an expected file gives it: six decimals, paths and batches from the scenario's folder."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, str):
        return value.replace(f"{folder}/", "").replace(f"{folder.name}.", "")
    return tuple(sorted(value)) or None if isinstance(value, list) else value


def compared(names: tuple[str, ...], expected: list[Row], found: list[Row]) -> list[str]:
    """The rows that are missing and those that are too much, in any order and counted; nothing where they are equal."""
    missing, more = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    if not missing and not more:
        return []
    told = [f"    - {line}" for line in sorted(map(as_line, missing.elements()))]
    return [f"      {','.join(names)}", *told, *(f"    + {line}" for line in sorted(map(as_line, more.elements())))]


def as_line(row: Row) -> str:
    return ",".join(
        "; ".join(value) if isinstance(value, tuple) else "" if value is None else str(value) for value in row
    )
