"""Quarantined and unparsable lines through parsing and rules again, after an adapter or a rule was fixed."""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.quality.rules import EXACT_DUPLICATE, broken_rules, is_valid
from meterlake.recover.downstream import ForcedRun, recompute_and_publish
from meterlake.recover.record import Request
from meterlake.recover.recovery import After, Recovered, recover
from meterlake.recover.restage import LINE
from meterlake.recover.scope import DAY, Scope, of_pairs
from meterlake.run import Run
from meterlake.shares import frame_of
from meterlake.sources.delivery import meter_named_by
from meterlake.sources.inspect import inspect, names_of
from meterlake.sources.read import reread_nem12, typed
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LOADED_FILES
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import stg_meter_readings, stg_meters


def replay(run: ForcedRun, request: Request, after: After = recompute_and_publish) -> Recovered:
    """What passes now appears in every table below; what does not stays, with the reasons of today."""
    return recover(run, request, _taken_again, after)


def _taken_again(run: Run) -> tuple[Scope, dict[str, float]]:
    """The meter-days of all lines whose fate may be another one today."""
    parsed = parse_again(run)
    held = run.store.read(QUARANTINED_READINGS, run.source.name)
    held = held.where(~F.array_contains("reasons", EXACT_DUPLICATE))
    lines = run.store.read(METER_READINGS, run.source.name)
    judged = held.select(*LINE, "reasons", F.col(DAY).alias("day_before"))
    rows = stg_meter_readings.interpret(
        lines.join(F.broadcast(judged.select(*LINE)), on=LINE, how="left_semi"), run.source
    )
    today = rows.select(
        *LINE, "meter_id", DAY, is_valid(run.source).alias("passes"), broken_rules(run.source).alias("broken")
    )
    again = today.join(judged, on=LINE, how="inner").where(F.col("passes") | (F.col("broken") != F.col("reasons")))
    pairs = [again.select("meter_id", DAY), again.select("meter_id", F.col("day_before").alias(DAY)), parsed]
    figures = {"quarantined_before": float(held.count()), "parsed_later": float(parsed.count())}
    return of_pairs(run.source.name, reduce(DataFrame.unionByName, pairs)), figures


def parse_again(run: Run) -> DataFrame:
    """Parse the raw lines of bronze by today's declaration, and keep in bronze what comes of it.

    Of NEM12 it is whole days, by the records that their first raw line keeps; what does not parse keeps its reason.
    A line that parses now keeps its raw text, by which a replay that was killed after this finds it again.

    Returns:
        `meter_id` and local day of all lines that were parsed later than they were delivered.
    """
    store, source = run.store, run.source
    raw = store.read(METER_READINGS, source.name).where(F.col("parse_error").isNotNull()).persist()
    files = [row.file_id for row in raw.select("file_id").distinct().collect()]
    if files:
        read = reread_nem12(raw) if source.format.layout == "nem12" else _read_by_file(run, raw, files)
        place = raw.select("source", *LINE, "raw_line", "source_file", "batch_id", "ingested_at")
        again = place.join(read.drop("raw_line", "source_file"), on=LINE, how="inner")
        store.upsert(again, METER_READINGS, f"t.source = '{source.name}' AND t.parse_error IS NOT NULL")
        _recount(run, files)
    raw.unpersist()
    late = store.read(METER_READINGS, source.name).where("raw_line IS NOT NULL AND parse_error IS NULL")
    return stg_meter_readings.interpret(late, source).select("meter_id", DAY)


def _read_by_file(run: Run, raw: DataFrame, files: list[int]) -> DataFrame:
    """The raw lines as `sources.read` types them, each layout by itself."""
    layouts: dict[str, list[int]] = {}
    for file_id, header in _headers(run, files).items():
        layouts.setdefault(header, []).append(file_id)
    meters = F.broadcast(_meters(run, files))
    lines = raw.select(F.col("raw_line").alias("line"), *LINE, "source_file").join(meters, on="file_id", how="left")
    frames = [
        typed(lines.where(F.col("file_id").isin(ids)), names_of(header, run.source.format.separator), run.source)
        for header, ids in layouts.items()
    ]
    return reduce(DataFrame.unionByName, frames)


def _headers(run: Run, files: list[int]) -> dict[int, str]:
    """file_id -> header; of a file that an older version loaded, from the file itself while it is there."""
    loaded = run.store.read(LOADED_FILES, run.source.name).where(F.col("file_id").isin(files))
    rows = loaded.select("file_id", "source_file", "header_line").collect()
    found = {row.file_id: row.header_line or inspect(row.source_file, run.source).header_line for row in rows}
    return {file_id: header for file_id, header in found.items() if header}


def _meters(run: Run, files: list[int]) -> DataFrame:
    """`file_id`, `file_meter`: the meter of files that are one meter, as its other lines have it."""
    lines = run.store.read(METER_READINGS, run.source.name).where(F.col("file_id").isin(files))
    named = lines.groupBy("file_id").agg(F.first("meter_id", ignorenulls=True).alias("meter"), F.first("source_file"))
    rows = [(file_id, meter or meter_named_by(path)) for file_id, meter, path in named.collect()]
    return frame_of(run.store.spark, rows, "file_id bigint, file_meter string")


def _recount(run: Run, files: list[int]) -> None:
    """`loaded` and `unparsable` of these files, counted in bronze, and the places of their meters."""
    lines = run.store.read(METER_READINGS, run.source.name).where(F.col("file_id").isin(files))
    counts = lines.groupBy("file_id").agg(F.count("*").alias("all"), F.count("parse_error").alias("bad"))
    known = run.store.read(LOADED_FILES, run.source.name).drop("loaded", "unparsable")
    counted = known.join(counts, on="file_id", how="inner").withColumns(
        {"loaded": F.col("all") - F.col("bad"), "unparsable": F.col("bad")}
    )
    run.store.upsert(counted.drop("all", "bad"), LOADED_FILES)
    named = lines.where(F.col("parse_error").isNull()).select("meter_id").distinct()
    of_meters = run.store.read(METER_READINGS, run.source.name).join(F.broadcast(named), on="meter_id", how="left_semi")
    run.store.upsert(
        stg_meters.build(stg_meters.places(of_meters), run.store.read(STG_METERS, run.source.name)), STG_METERS
    )
