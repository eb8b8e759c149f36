"""Rows as two runs leave them: one that passed, and one of another source whose gate failed."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from meterlake.anomaly.drift import DAYS as WHOLE_DAYS
from meterlake.anomaly.drift import Shift
from meterlake.anomaly.watch import expectation
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_consumption_metrics import MART_CONSUMPTION_METRICS
from meterlake.tables.ops import LEDGER, LOADED_FILES, QUALITY_RESULTS, RUNS
from meterlake.tables.recoveries import RECOVERIES
from meterlake.tables.table import Table

BEGAN = datetime(2024, 2, 1, 6, tzinfo=UTC)
FIRST, LAST = "2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z"
NEWEST, DAYS, METERS = date(2024, 1, 31), 10, 6
SOURCES = ["ami", "village"]

Rows = list[dict[str, Any]]


def home() -> dict[Table, Rows]:
    return {
        RUNS: [*passed(), *failed()],
        LEDGER: ledger(),
        LOADED_FILES: [],
        QUALITY_RESULTS: verdicts(),
        RECOVERIES: recoveries(),
        MART_CONSUMPTION_METRICS: metrics(),
        MART_ANOMALY_FLAGS: flags(),
    }


def step(source: str, run_id: str, name: str, minute: int, **more: Any) -> dict[str, Any]:
    """60 s of a step that read 1,000 rows and wrote 500."""
    began = BEGAN + timedelta(minutes=minute)
    made = {"source": source, "run_id": run_id, "step": name, "started_at": began, "seconds": 60.0}
    return made | {"rows_in": 1000, "rows_out": 500, "code_version": "0.1.0", "inputs": [], "outputs": []} | more


def passed() -> Rows:
    """Flags 10 of 500, twice the share of the training; a challenger that scores nothing; a mark that a restore set."""
    figures = {
        "vee": [("vee_estimated", 7.0), ("vee_gap", 3.0)],
        "train": [("flagged_share", 0.01), ("model_version", 1.0)],
        "score": [("flagged", 10.0), ("model_version", 1.0)],
    }
    names = ("ingest", "stage", "vee", "train", "score", "validate_marts", "publish")
    made = [step("ami", "run-1", name, minute, figures=figures.get(name, [])) for minute, name in enumerate(names)]
    challenger = [("flagged_share", 0.04), ("model_version", 2.0)]
    made.append(step("ami", "run-3", "train", 3, figures=challenger))
    return [*made, step("ami", "restore-1", "stage", 60, seconds=0.0, rows_in=0, rows_out=0, figures=[])]


def failed() -> Rows:
    return [step("village", "run-2", "ingest", 30, figures=[])]


def ledger() -> Rows:
    """100 lines, of which 90 became readings and 2 are corrupted; the restore posted a difference of none."""
    counts = {"lines": 100, "loaded": 99, "unparsable": 1, "current": 90, "exact_duplicates": 3, "superseded": 1}
    counts |= {"quarantined": 5, "other_quantity": 4, "replaced": 0, "readings_before": 0, "readings_after": 90}
    entry = {"source": "ami", "batch_id": "one", "run_id": "run-1", "files": 2} | counts
    nothing = dict.fromkeys(counts, 0) | {"source": "ami", "batch_id": "restore-1", "run_id": "restore-1", "files": 0}
    return [entry, nothing]


def verdicts() -> Rows:
    """Of six, one critical and two warnings are not met."""
    made = {"severity": "critical", "success": True, "observed": "0 on 1 batch", "checked_at": BEGAN}
    ours = made | {"source": "ami", "run_id": "run-1", "suite": "marts_metrics"}
    theirs = made | {"source": "village", "run_id": "run-2", "suite": "raw_readings", "success": False}
    shifts = [
        Shift("hour_of_day", 0.3, 5000, "above 22"),
        Shift("surprise", 0.05, 5000, "above 6", WHOLE_DAYS),
    ]
    drift = [
        ours
        | {"suite": one.grain.suite, "severity": "warning", "success": not one.large}
        | {"expectation": expectation(one), "observed": one.told}
        for one in shifts
    ]
    return [
        *drift,
        ours | {"expectation": "Scores are 0 to 1"},
        ours | {"expectation": "Load factors are at most 1"},
        ours | {"expectation": "Readings are there", "severity": "warning", "success": False, "observed": "0.9"},
        theirs | {"expectation": "At least half of the lines parse"},
    ]


def recoveries() -> Rows:
    made = {"recovery_id": "restore-1", "source": "ami", "kind": "restore", "status": "done", "code_version": "0.1.0"}
    made |= {"reason": "a wrong file", "requested_by": "ann", "started_at": BEGAN + timedelta(hours=1)}
    return [made | {"finished_at": BEGAN + timedelta(hours=1, minutes=2)}]


def metrics() -> Rows:
    """24 readings of 0.5 kWh a day and meter, of which the last day lacks half."""
    made = []
    for back in range(DAYS):
        known = 12 if back == 0 else 24
        day = {"source": "ami", "period": "day", "period_start_local": NEWEST - timedelta(days=back)}
        day |= {"region": "north", "feeder": "F1", "quality": "measured", "expected_count": 24, "reading_count": known}
        day |= {"completeness": known / 24, "consumption_kwh": Decimal(known) / 2}
        made += [day | {"meter_id": f"m{number}"} for number in range(METERS)]
    return made


def flags() -> Rows:
    day = {"source": "ami", "region": "north", "feeder": "F1", "reading_date_local": NEWEST, "reading_count": 24}
    day |= {"flagged_count": 2, "worst_score": 0.9, "worst_reading_timestamp": BEGAN, "main_type": "low_consumption"}
    return [day | {"meter_id": f"m{number}", "energy_at_stake_kwh": Decimal(1)} for number in range(METERS)]
