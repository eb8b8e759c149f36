"""What a recovery moved, as an entry of the ledger: differences, so that the sums are true of the tables again."""

from pyspark.sql import Row
from pyspark.sql import functions as F

from meterlake.run import Run
from meterlake.stage import check_balance, delivered
from meterlake.tables.ops import LEDGER, LOADED_FILES
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.transforms import quarantined_readings

SUMS = (
    "lines",
    "loaded",
    "unparsable",
    "current",
    "exact_duplicates",
    "superseded",
    "quarantined",
    "other_quantity",
    "replaced",
)


def post(run: Run, recovery: str) -> Row | None:
    """Append the entry by which the ledger's sums of the source become those of the tables; None where they are.

    The posting of a recovery that was killed is found again from the tables, and not twice. A line that is valid, no
    duplicate and not current is superseded, whether in its own batch or by a later one; the scope's own balance
    (restage.py) proves that it is there.

    Raises:
        LedgerUnbalanced: the differences do not balance.
    """
    booked, found = _booked(run), _found(run)
    delta = {name: found[name] - booked[name] for name in SUMS if name not in ("superseded", "replaced")}
    superseded = delta["loaded"] - delta["current"] - delta["exact_duplicates"] - delta["quarantined"]
    if not any(delta.values()):
        return None
    entry = Row(*LEDGER.names)(
        run.source.name,
        recovery,
        0,
        delta["lines"],
        delta["loaded"],
        delta["unparsable"],
        delta["current"],
        delta["exact_duplicates"],
        superseded,
        delta["quarantined"],
        delta["other_quantity"],
        0,
        booked["current"],
        found["current"],
        run.run_id,
    )
    check_balance(entry)
    run.store.append_rows([entry], LEDGER)
    return entry


def _booked(run: Run) -> dict[str, int]:
    """The ledger's sums; `current` without the readings that later batches replaced."""
    sums = run.store.read(LEDGER, run.source.name).agg(
        *(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in SUMS)
    )
    (row,) = sums.collect()
    booked = {name: int(row[name]) for name in SUMS}
    return booked | {"current": booked["current"] - booked["replaced"]}


def _found(run: Run) -> dict[str, int]:
    """The same, counted in the tables, of the batches that the ledger has."""
    staged = run.store.read(LEDGER, run.source.name).select("batch_id")
    files = run.store.read(LOADED_FILES, run.source.name).join(staged, on="batch_id", how="left_semi")
    (lines,) = files.agg(*(F.coalesce(F.sum(n), F.lit(0)).alias(n) for n in SUMS[:3])).collect()
    held = run.store.read(QUARANTINED_READINGS, run.source.name).join(staged, on="batch_id", how="left_semi")
    (rejected,) = held.agg(*quarantined_readings.counts()).collect()
    current = run.store.read(STG_METER_READINGS, run.source.name).where(delivered()).count()
    return lines.asDict() | rejected.asDict() | {"current": current}
