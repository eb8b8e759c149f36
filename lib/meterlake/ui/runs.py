"""Runs and what they did with every line: from `ops.runs`, `ledger`, `loaded_files` and `quality_results`."""

from typing import Any

import pandas as pd

from meterlake.quality.rules import EXACT_DUPLICATE
from meterlake.report.queries import LEDGER_SUMS
from meterlake.tables.reader import Lake
from meterlake.ui.asked import ROWS, Page

MOST_FILES = 200
SUMS = ", ".join(f'CAST(sum("{name}") AS bigint) AS "{name}"' for name in LEDGER_SUMS)


def sources(lake: Lake) -> list[str]:
    """The sources that something ran for, the latest first."""
    found = lake.rows("SELECT source, max(started_at) AS last FROM runs GROUP BY source ORDER BY last DESC, source")
    return [row["source"] for row in found]


def ledger(lake: Lake, source: str) -> dict[str, int]:
    """The sums of the ledger over all batches of a source; empty when none was staged."""
    found = lake.rows(f"SELECT {SUMS} FROM ledger WHERE source = :source GROUP BY source", source=source)
    return found[0] if found else {}


def listed(lake: Lake, source: str, page: Page, most: int = ROWS) -> list[dict[str, Any]]:
    """The runs of a source, the latest first, with what ledger and gates say of each; one more than `most`, if any.

    `ledger` is None for a run that loaded nothing, `expectations` 0 for one that no gate judged.
    """
    done = lake.rows(
        "SELECT run_id, min(started_at) AS started_at, sum(seconds) AS seconds, count(*) AS steps "
        "FROM runs WHERE source = :source GROUP BY run_id ORDER BY started_at DESC, run_id LIMIT :most OFFSET :skip",
        source=source,
        most=most + 1,
        skip=page.skip,
    )
    booked = lake.rows(f"SELECT run_id, {SUMS} FROM ledger WHERE source = :source GROUP BY run_id", source=source)
    judged = lake.rows(
        "SELECT run_id, count(*) AS expectations, sum(CASE WHEN success THEN 0 ELSE 1 END) AS failed "
        "FROM quality_results WHERE source = :source GROUP BY run_id",
        source=source,
    )
    ledgers, gates = ({row["run_id"]: row for row in rows} for rows in (booked, judged))
    nothing = {"expectations": 0, "failed": 0}
    return [run | {"ledger": ledgers.get(run["run_id"])} | gates.get(run["run_id"], nothing) for run in done]


def steps(lake: Lake, source: str, run_id: str) -> pd.DataFrame:
    """The steps of a run in their order: step, started_at, seconds, rows_in, rows_out, inputs, outputs (pairs)."""
    return lake.frame(
        "SELECT step, started_at, seconds, rows_in, rows_out, inputs, outputs FROM runs "
        "WHERE source = :source AND run_id = :run ORDER BY started_at",
        source=source,
        run=run_id,
    )


def batches(lake: Lake, source: str, run_id: str) -> list[dict[str, Any]]:
    """The ledger entries of a run: one per batch."""
    return lake.rows(
        "SELECT * FROM ledger WHERE source = :source AND run_id = :run ORDER BY batch_id", source=source, run=run_id
    )


def added_up(entries: list[dict[str, Any]]) -> dict[str, int]:
    """The sums of ledger entries; empty where there is none."""
    return {name: sum(entry[name] for entry in entries) for name in LEDGER_SUMS} if entries else {}


def files(lake: Lake, source: str, run_id: str) -> list[dict[str, Any]]:
    """The files that a run loaded in the order of delivery, with the lines of each in quarantine; 201 at most."""
    loaded = lake.rows(
        "SELECT file_id, source_file, sha256, bytes, lines, loaded, unparsable FROM loaded_files "
        "WHERE source = :source AND batch_id IN (SELECT batch_id FROM ledger WHERE source = :source AND run_id = :run) "
        "ORDER BY file_id LIMIT :most",
        source=source,
        run=run_id,
        most=MOST_FILES + 1,
    )
    rejected = lake.rows(
        "SELECT file_id, count(*) AS lines FROM quarantined_readings WHERE source = :source "
        "AND NOT array_has(reasons, :duplicate) GROUP BY file_id",
        source=source,
        duplicate=EXACT_DUPLICATE,
    )
    quarantined = {row["file_id"]: row["lines"] for row in rejected}
    return [file | {"quarantined": quarantined.get(file["file_id"], 0)} for file in loaded]


def reasons(lake: Lake, source: str, run_id: str) -> pd.DataFrame:
    """Lines of a run's batches by the set of rules they broke: reasons, lines; the commonest first."""
    return lake.frame(
        "SELECT reasons, count(*) AS lines FROM quarantined_readings WHERE source = :source "
        "AND batch_id IN (SELECT batch_id FROM ledger WHERE source = :source AND run_id = :run) "
        "AND NOT array_has(reasons, :duplicate) GROUP BY reasons ORDER BY lines DESC, reasons LIMIT 50",
        source=source,
        run=run_id,
        duplicate=EXACT_DUPLICATE,
    )


def failures(lake: Lake, source: str, run_id: str) -> list[dict[str, Any]]:
    """What the gates found wrong in a run, critical before warnings; 200 at most."""
    return lake.rows(
        "SELECT suite, expectation, severity, observed FROM quality_results WHERE source = :source "
        "AND run_id = :run AND NOT success ORDER BY severity, suite, expectation LIMIT 200",
        source=source,
        run=run_id,
    )
