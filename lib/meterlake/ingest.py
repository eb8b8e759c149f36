"""Files -> bronze: inspect, leave out what is known, read, count again, and only then call it loaded."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pyspark.sql import Row
from pyspark.sql import functions as F

from meterlake.errors import InputError, LedgerUnbalanced
from meterlake.run import Outcome, Run
from meterlake.session import SMALL_BYTES, beside
from meterlake.sources.delivery import files_of, meter_named_by
from meterlake.sources.inspect import Inspected, inspect_files
from meterlake.sources.load_plain import load_plain
from meterlake.sources.plain_lines import is_plain
from meterlake.sources.read import read_doubtful, read_lines
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LOADED_FILES

NAMED = 5  # files that a sentence names


@dataclass(frozen=True)
class Books:
    """What `loaded_files` says, in one read: it is asked before anything else.

    Attributes:
        known: content (SHA-256) of this source's files.
        newest_id: number of the newest file of any source.
        unfinished: a batch with lines in bronze that was not recorded: its run was killed.
    """

    known: set[str]
    newest_id: int
    unfinished: str | None


@dataclass(frozen=True)
class Delivery:
    """What a delivery holds: files to load, files loaded before (by content), files that cannot be read."""

    new: list[Inspected]
    known: list[Inspected]
    refused: list[Inspected]


def ingest(run: Run) -> Outcome:
    """Load the delivery's new files as one batch.

    Raises:
        InputError: there is no file, or none of them can be read.
        LedgerUnbalanced: Spark read another number of lines than the files' bytes hold.
    """
    books = _books(run)
    if books.unfinished:
        run.store.delete_batch(METER_READINGS, books.unfinished)
    # A session's first work with Delta takes seconds, which need not wait for the look at the files.
    with beside(run.store.spark, partial(run.store.ensure, METER_READINGS)):
        delivery = inspect_delivery(run, books.known)
    outcome = Outcome(said=_told(delivery), nothing_new=not delivery.new)
    outcome.figures = {"files_known": len(delivery.known), "files_refused": len(delivery.refused)}
    run.keep([_refusal(run, file) for file in delivery.refused])
    if delivery.new:
        loaded = _load(run, delivery.new, books.newest_id + 1)
        outcome.rows_in = sum(file.lines for file in loaded)
        outcome.rows_out = outcome.rows_in
        outcome.figures["files_loaded"] = len(loaded)
        outcome.figures["unparsable"] = sum(file.unparsable for file in loaded)
        outcome.said += _first_faults(run, loaded)
        outcome.outputs = {METER_READINGS.name: run.store.version(METER_READINGS)}
    else:
        _stop_if_nothing_is_readable(delivery)
    return outcome


def check_source(run: Run) -> Outcome:
    """Look at every file of the delivery as `ingest` will, and load none: is it there, and is it of this source?

    Raises:
        InputError: there is no file, or none of them can be read.
    """
    delivery = inspect_delivery(run, _books(run).known)
    _stop_if_nothing_is_readable(delivery)
    outcome = Outcome(rows_in=sum(file.lines for file in delivery.new), said=_told(delivery))
    outcome.figures = {
        "files_new": len(delivery.new),
        "files_known": len(delivery.known),
        "files_refused": len(delivery.refused),
    }
    return outcome


def _stop_if_nothing_is_readable(delivery: Delivery) -> None:
    if not delivery.new and not delivery.known:
        first = delivery.refused[0]
        raise InputError(first.path, str(first.problem), first.remedy)


def inspect_delivery(run: Run, known: set[str]) -> Delivery:
    """Look at every file. The same content twice, in one delivery or over time, is loaded once."""
    paths = files_of(run.input, run.first, run.last)
    delivery, known = Delivery([], [], []), set(known)
    for file in inspect_files(run.store.spark, paths, run.source):
        if file.problem:
            delivery.refused.append(file)
        elif file.sha256 in known:
            delivery.known.append(file)
        else:
            known.add(file.sha256)
            delivery.new.append(file)
    return delivery


def _books(run: Run) -> Books:
    newest_batch = run.store.last_note(METER_READINGS)
    if not run.store.exists(LOADED_FILES):
        return Books(set(), 0, newest_batch)
    ours = run.store.ask("SELECT sha256 FROM loaded_files WHERE source = :source", source=run.source.name)
    asked = "SELECT max(file_id) AS id, count(CASE WHEN batch_id = :batch THEN 1 END) AS recorded FROM loaded_files"
    (newest,) = run.store.ask(asked, batch=newest_batch or "")
    return Books({file.sha256 for file in ours}, newest.id or 0, None if newest.recorded else newest_batch)


def _load(run: Run, files: list[Inspected], first_id: int) -> list[Row]:
    store, now = run.store, datetime.now(UTC).replace(microsecond=0)
    run.fit(sum(file.size for file in files))
    numbered = [(file, first_id + index, run.meter or meter_named_by(file.path)) for index, file in enumerate(files)]
    _write(run, numbered, {"source": run.source.name, "batch_id": run.run_id, "ingested_at": now})
    loaded = _counted(run, numbered, now)
    for file in loaded:
        if file.lines != file.loaded + file.unparsable:
            store.delete_batch(METER_READINGS, run.run_id)
            balance = f"lines of {file.source_file} = loaded + unparsable"
            raise LedgerUnbalanced(balance, file.lines, file.loaded + file.unparsable)
    store.append_rows(loaded, LOADED_FILES)
    return loaded


def _write(run: Run, files: list[tuple[Inspected, int, str]], constants: dict[str, Any]) -> None:
    """The lines of the files into bronze, in two commits under the batch's note where some of many are not plain.

    A run that is killed between them leaves lines of a batch that was not recorded, which the next run removes.
    """
    store, batch = run.store, constants["batch_id"]
    if sum(seen.size for seen, _, _ in files) > SMALL_BYTES and is_plain(run.source):
        plain = load_plain(store.spark, files, run.source, constants, store.path(METER_READINGS))
        store.append_files(plain.files, METER_READINGS, note=batch)
        lines = read_doubtful(plain.doubtful, files, run.source)
    else:
        lines = read_lines(store.spark, files, run.source)
    store.append(lines.withColumns({name: F.lit(value) for name, value in constants.items()}), METER_READINGS, batch)


def _counted(run: Run, numbered: list[tuple[Inspected, int, str]], now: datetime) -> list[Row]:
    """Rows of `loaded_files`: what the bytes hold beside what stands in bronze, counted there."""
    asked = """
        SELECT file_id, count(*) AS lines, count(parse_error) AS bad FROM meter_readings
        WHERE batch_id = :batch GROUP BY file_id
    """
    counts = {row.file_id: row for row in run.store.ask(asked, batch=run.run_id)}
    rows = []
    for file, file_id, _ in numbered:
        count = counts.get(file_id, Row(lines=0, bad=0))
        values = (run.source.name, file_id, file.path, file.sha256, file.size, file.lines, count.lines - count.bad)
        extra = sorted(set(file.header) - set(run.source.columns.required) - set(run.source.columns.optional.values()))
        rows.append(Row(*LOADED_FILES.names)(*values, count.bad, extra, file.header_line, run.run_id, now))
    return rows


def _first_faults(run: Run, loaded: list[Row]) -> list[str]:
    """The first fault of files of which most is not read; of NEM12, of any that is loaded in part."""
    what, share = ("values", 0.0) if run.source.format.layout == "nem12" else ("lines", 0.5)
    files = [file.source_file for file in loaded if file.unparsable > share * file.lines]
    if not files:
        return []
    bad = run.store.read(METER_READINGS).where((F.col("batch_id") == run.run_id) & F.col("parse_error").isNotNull())
    first = F.min_by("parse_error", "line_order").alias("first")
    of_file = bad.where(F.col("source_file").isin(files[:NAMED])).groupBy("source_file")
    said = [
        f"{file.source_file}: {file.bad:,} of its {what} cannot be read and are kept as text. First fault: "
        f"{file.first}."
        for file in of_file.agg(F.count("*").alias("bad"), first).orderBy("source_file").collect()
    ]
    more = f"Other files have {what} that cannot be read, too: see parse_error in bronze."
    return [*said, more] if len(files) > NAMED else said


def _refusal(run: Run, file: Inspected) -> Row:
    return run.verdict("alerts", f"{file.path} can be read", "warning", False, f"{file.problem}; {file.remedy}")


def _told(delivery: Delivery) -> list[str]:
    said = [f"{file.path} {file.problem}; {file.remedy}. It was left out." for file in delivery.refused[:NAMED]]
    if len(delivery.refused) > NAMED:
        said.append(f"{len(delivery.refused) - NAMED} more files were left out; see ops.quality_results.")
    if delivery.known:
        said.append(f"{len(delivery.known)} of the files were loaded before (same content) and change nothing.")
    headless = [file for file in delivery.new if not file.lines]
    said += [f"{file.path} has a header but no readings." for file in headless[:NAMED]]
    return said
