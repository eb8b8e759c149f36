"""Made-up meters, as many as wanted: files in three shapes, and beside them the truth about every defect and anomaly.

    <out>/readings/   the files that a pipeline reads
    <out>/supply/     where asked for: what the supply meters of their feeders and transformers read
    <out>/truth/      defects-*.csv, anomalies.csv, outages.csv, meters.csv, supply-*.csv, summary.json

What a meter records on a day depends on the seed, the meter and the day only (generate_draws.py), so one more day or
one more meter changes nothing that was there, and two runs give the same bytes. Files are made inside Spark tasks.
"""

import argparse
import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.fs as fs

from meterlake.errors import Unreachable, UsageError
from meterlake.files import filesystem_of
from meterlake.sources import generate_defects as defects
from meterlake.sources import generate_outages as outages
from meterlake.sources import generate_supply as supply
from meterlake.sources.generate_files import deliver, table_csv, write
from meterlake.sources.generate_plan import Plan, Rates
from meterlake.sources.generate_shapes import SHAPES, block
from meterlake.sources.generate_truth import Summary, anomaly_table, meter_table, outage_table, summary

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Plan", "Rates", "Summary", "add_arguments", "from_arguments", "generate", "told"]


def generate(
    spark: "SparkSession",
    out: str,
    shape: str = "ami",
    meters: int = 100,
    start: date = date(2024, 1, 1),
    days: int = 30,
    interval_minutes: int | None = None,
    seed: int = 1,
    rates: Rates | None = None,
    meters_per_file: int = 1000,
    gzip: bool = False,
    partitions: int | None = None,
    supply_meters: bool = False,
) -> Summary:
    """Write readings and truth under the folder `out` (a path or a URI).

    A bad row REPLACES its good line, so its interval is lost as in a gap. A duplicate ADDS a line, at the file's end.
    Days are days of the file's clock: UTC, or UTC+01:00 for household_power. The truth is in UTC.
    `interval_minutes` None is the cadence of the shape, 15 for ami. `partitions` is the number of tasks; it changes
    nothing else.

    Raises:
        UsageError: a number makes no sense, or `out` holds readings that this call would not write.
        Unreachable: `out` cannot be written.
    """
    out = out if "://" in out else str(Path(out).expanduser().resolve())
    plan = Plan(
        out, shape, meters, start, days, interval_minutes, seed, rates or Rates(), meters_per_file, gzip, supply_meters
    )
    _prepare(plan)
    made = _made(spark, plan, plan.units, _write_unit, partitions)
    supplied = _made(spark, plan, plan.supply_units, _write_supply, partitions)
    events = anomaly_table(plan)
    total = summary(plan, made, supplied, events)
    truths = {"meters.csv": meter_table(plan), "anomalies.csv": events}
    if plan.rates.outage:
        truths["outages.csv"] = outage_table(plan)
    for name, table in truths.items():
        write(f"{out}/truth", name, table_csv(table))
    write(f"{out}/truth", "summary.json", json.dumps(asdict(total), indent=1).encode())
    return total


def _prepare(plan: Plan) -> None:
    """Make the folders. Files of another call would be read with the new ones, against the truth: refuse them."""
    written = {
        "truth": None,
        "readings": {plan.file(unit) for unit in range(plan.units)},
        "supply": {plan.supply_file(unit) for unit in range(plan.supply_units)},
    }
    for folder, files in written.items():
        if files == set():
            continue
        try:
            filesystem, path = filesystem_of(f"{plan.folder}/{folder}")
            filesystem.create_dir(path, recursive=True)
            there = {info.base_name for info in filesystem.get_file_info(fs.FileSelector(path))}
        except (OSError, pa.ArrowInvalid) as error:
            raise Unreachable(f"{plan.folder} cannot be written ({error}); choose another folder.") from None
        if files and (foreign := sorted(there - files)):
            raise UsageError(
                f"{plan.folder}/{folder} holds files of another call ({foreign[0]}, ...); choose an empty folder."
            )


def _made(
    spark: "SparkSession",
    plan: Plan,
    units: int,
    write_unit: Callable[[Plan, int], dict[str, Any]],
    partitions: int | None,
) -> list[dict[str, Any]]:
    """Write so many files in tasks; what each one holds, in the order of their numbers."""
    if not units:
        return []
    from pyspark.errors import PythonException  # PySpark takes seconds to import; `meterlake --help` does without

    def write_units(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            made = [json.dumps(write_unit(plan, unit)) for unit in batch.column("id").to_pylist()]
            yield pa.RecordBatch.from_pydict({"unit": batch.column("id"), "made": made})

    tasks = partitions or min(units, 4 * spark.sparkContext.defaultParallelism)
    work = spark.range(0, units, 1, tasks).mapInArrow(write_units, "unit long, made string")
    try:
        return [json.loads(row["made"]) for row in sorted(work.collect(), key=lambda row: row["unit"])]
    except PythonException as error:
        reason = next((line for line in str(error).splitlines() if "[Errno" in line), None)
        if reason is None:
            raise
        raise Unreachable(
            f"{plan.folder} cannot be written ({reason.strip()}); make room or choose another folder."
        ) from error


def _write_unit(plan: Plan, unit: int) -> dict[str, Any]:
    """Inside a task: one file and the truth about its lines. The same bytes whenever it is tried again."""
    meter, day = plan.rows(unit)
    homes = plan.shape.one_file_per_meter
    outage = plan.rates.outage
    readings = block(plan.seed, plan.rates.anomaly, meter, day, plan.interval_minutes, homes, outage)
    codes = defects.drawn(plan.seed, plan.rates.by_kind(plan.shape), meter, day, plan.interval_minutes)
    codes[outages.silent(plan.seed, outage, meter, day, plan.interval_minutes)] = defects.KINDS.index(defects.GAP)
    made, name = deliver(plan.shape, readings, codes), plan.file(unit)
    truth = made.defects.append_column("file", pa.array([name] * len(made.defects), pa.string()))
    write(f"{plan.folder}/truth", f"defects-{plan.stem(unit)}.csv", table_csv(truth))
    write(f"{plan.folder}/readings", name, made.content)
    numbers = {name: value for name, value in vars(made).items() if isinstance(value, int)}
    return {"file": name, "defects": Counter(truth["kind"].to_pylist()), **numbers}


def _write_supply(plan: Plan, unit: int) -> dict[str, Any]:
    """Inside a task: the supply meters of a district on a day, and the truth about their losses."""
    day, district = divmod(unit, plan.districts)
    supplies = supply.supply_of(plan, district, plan.first_day + day)
    name, true = plan.supply_file(unit), supply.truth(plan, supplies, plan.first_day + day)
    write(f"{plan.folder}/truth", name.removesuffix(".gz"), table_csv(true))
    write(f"{plan.folder}/supply", name, supply.delivered(plan, supplies, plan.first_day + day))
    of_feeders = true.filter(pa.compute.equal(true["level"], "feeder"))
    lines = sum(each.recorded.size for each in supplies)
    totals = {column: pa.compute.sum(of_feeders[column]).as_py() for column in ("used_kwh", "technical_loss_kwh")}
    return {"file": name, "lines": lines, **totals}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `meterlake generate`; `from_arguments` reads them."""
    parser.add_argument("--out", required=True, help="folder (or URI) for readings/ and truth/")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="ami", help="kind of file (default %(default)s)")
    parser.add_argument("--meters", type=int, default=100, help="number of meters (default %(default)s)")
    parser.add_argument(
        "--start", type=date.fromisoformat, default=date(2024, 1, 1), help="first day (default %(default)s)"
    )
    parser.add_argument("--days", type=int, default=30, help="number of days (default %(default)s)")
    parser.add_argument(
        "--interval-minutes", type=int, help="cadence of ami files (default 15); the other shapes have their own"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed, another world (default %(default)s)")
    parser.add_argument(
        "--meters-per-file", type=int, default=1000, help="ami: meters in a file of a day (default %(default)s)"
    )
    parser.add_argument(
        "--supply-meters", action="store_true", help="ami: also what feeders and transformers take in, in supply/"
    )
    parser.add_argument("--gzip", action="store_true", help="write .gz files")
    for rate in fields(Rates):
        parser.add_argument(
            f"--{rate.name.replace('_', '-')}-rate",
            type=float,
            default=rate.default,
            help="share (default %(default)s)",
        )


def from_arguments(spark: "SparkSession", arguments: argparse.Namespace) -> Summary:
    """`generate` with the options that `add_arguments` declared."""
    rates = Rates(**{rate.name: getattr(arguments, f"{rate.name}_rate") for rate in fields(Rates)})
    names = ("out", "shape", "meters", "start", "days", "interval_minutes", "seed", "meters_per_file", "gzip")
    given = {name: getattr(arguments, name) for name in names}
    return generate(spark, rates=rates, supply_meters=arguments.supply_meters, **given)


def told(made: Summary, out: str, home: Path) -> str:
    """What was written, where, and what to run next, for people."""

    def counted(found: dict[str, int]) -> str:
        return ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in found.items() if count) or "none"

    def command(source: str, folder: str) -> str:
        return shlex.join(["meterlake", "run", "--source", source, "--input", f"{out}/{folder}", "--home", str(home)])

    supplied = [
        f"  supply     {sum(made.supply_files.values()):,} lines; of {made.used_kwh:,.1f} kWh used, stolen or not, and "
        f"{made.technical_loss_kwh:,.1f} kWh lost in the grid",
    ]
    lines = [
        f"{made.lines:,} lines of {made.meters:,} meters in {len(made.files):,} files are in {out}/readings",
        f"  period     {made.days} days from {made.start}, every {made.interval_minutes} min",
        f"  readings   {made.clean_readings:,} without a defect, {made.clean_kwh:,.1f} kWh",
        f"  defects    {counted(made.defects)}",
        f"  anomalies  {counted(made.anomalies)}",
        f"  truth      {out}/truth",
        f"next: {command(made.shape, 'readings')}",
    ]
    if made.supply_files:
        lines[3:3] = supplied
        lines[-1:] = [f"next: {command('grid_supply', 'supply')}", f"then: {command(made.shape, 'readings')}"]
    return "\n".join(lines)
