"""What the lake tells of its runs and readings: each query is some measurements, its columns their names and labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """A SELECT over the lake's tables.

    Attributes:
        labels: its columns that tell the series of a measurement apart.
        measures: its other columns: name of the measurement, after `meterlake_`, -> what it is.
    """

    statement: str
    labels: tuple[str, ...]
    measures: dict[str, str]


# A mark of 0 seconds is one that a restore set; nothing ran.
STEPS = Query(
    """
    SELECT source, step, step_last_success_timestamp_seconds, step_last_duration_seconds, step_last_rows_in,
        step_last_rows_out, step_successes_total, step_seconds_total, step_rows_in_total
    FROM (
        SELECT source, step, seconds AS step_last_duration_seconds, rows_in AS step_last_rows_in,
            rows_out AS step_last_rows_out,
            date_part('epoch', started_at) + seconds AS step_last_success_timestamp_seconds,
            count(*) OVER of_step AS step_successes_total, sum(seconds) OVER of_step AS step_seconds_total,
            sum(rows_in) OVER of_step AS step_rows_in_total,
            row_number() OVER (PARTITION BY source, step ORDER BY started_at DESC) AS back
        FROM runs WHERE seconds > 0 WINDOW of_step AS (PARTITION BY source, step)
    ) WHERE back = 1
    """,
    ("source", "step"),
    {
        "step_last_success_timestamp_seconds": "End of the last success of the step.",
        "step_last_duration_seconds": "Seconds that it took.",
        "step_last_rows_in": "Rows that it read, new or changed.",
        "step_last_rows_out": "Rows that it wrote.",
        "step_successes_total": "Successes of the step so far.",
        "step_seconds_total": "Seconds that they took.",
        "step_rows_in_total": "Rows that they read.",
    },
)

# A run that loaded files and neither passed the last gate nor failed one is under way, was killed, or changed nothing.
RUNS = Query(
    """
    SELECT source, state, count(*) AS runs FROM (
        SELECT source,
            CASE WHEN passed > 0 THEN 'passed' WHEN failed > 0 THEN 'gate_failed' ELSE 'unfinished' END AS state
        FROM (
            SELECT source, run_id, sum(passed) AS passed, sum(failed) AS failed FROM (
                SELECT source, run_id, CASE WHEN step = 'validate_marts' THEN 1 ELSE 0 END AS passed, 0 AS failed
                FROM runs WHERE seconds > 0 AND step IN ('ingest', 'validate_marts')
                UNION ALL
                SELECT source, run_id, 0, CASE WHEN success OR severity <> 'critical' THEN 0 ELSE 1 END
                FROM quality_results
            ) GROUP BY source, run_id
        )
    ) GROUP BY source, state
    """,
    ("source", "state"),
    {"runs": "Runs that loaded files or were judged: passed (the last gate), gate_failed, or unfinished."},
)

LEDGER = Query(
    """
    SELECT source, sum(files) AS ledger_files, sum(lines) AS ledger_lines, sum(loaded) AS ledger_loaded,
        sum(unparsable) AS ledger_unparsable, sum(current) AS ledger_current,
        sum(exact_duplicates) AS ledger_exact_duplicates, sum(superseded) AS ledger_superseded,
        sum(quarantined) AS ledger_quarantined, sum(other_quantity) AS ledger_other_quantity,
        CASE WHEN sum(lines) = sum(loaded) + sum(unparsable)
            AND sum(loaded) = sum(current) + sum(exact_duplicates) + sum(superseded) + sum(quarantined)
            THEN 1 ELSE 0 END AS ledger_balances
    FROM ledger GROUP BY source
    """,
    ("source",),
    {
        "ledger_files": "Files delivered.",
        "ledger_lines": "Data lines in them.",
        "ledger_loaded": "Lines that parse.",
        "ledger_unparsable": "Lines that do not parse.",
        "ledger_current": "Lines that became readings.",
        "ledger_exact_duplicates": "Lines that repeat a reading.",
        "ledger_superseded": "Lines that a later file replaces.",
        "ledger_quarantined": "Lines that broke a rule.",
        "ledger_other_quantity": "Quarantined lines that are about no active energy, which is no fault.",
        "ledger_balances": "1 where every line is accounted for.",
    },
)

GATES = Query(
    """
    SELECT source, suite, count(*) AS gate_expectations,
        sum(CASE WHEN success OR severity <> 'critical' THEN 0 ELSE 1 END) AS gate_failures,
        sum(CASE WHEN success OR severity = 'critical' THEN 0 ELSE 1 END) AS gate_warnings
    FROM (
        SELECT *, first_value(run_id) OVER (PARTITION BY source, suite ORDER BY checked_at DESC) AS last
        FROM quality_results
    ) WHERE run_id = last GROUP BY source, suite
    """,
    ("source", "suite"),
    {
        "gate_expectations": "Expectations that the suite judged when it ran last.",
        "gate_failures": "Critical ones of them that were not met: nothing is published.",
        "gate_warnings": "Others of them that were not met.",
    },
)

READINGS = Query(
    """
    SELECT source, date_part('epoch', max(newest)) AS readings_newest_day_timestamp_seconds,
        count(DISTINCT meter_id) AS meters_of_newest_week, sum(reading_count) AS readings_of_newest_week,
        sum(reading_count) / CAST(sum(expected_count) AS double) AS completeness_of_newest_week
    FROM (SELECT *, max(period_start_local) OVER (PARTITION BY source) AS newest
        FROM mart_consumption_metrics WHERE period = 'day')
    WHERE period_start_local > newest - INTERVAL '7 days' GROUP BY source
    """,
    ("source",),
    {
        "readings_newest_day_timestamp_seconds": "Midnight of the newest local day with readings, as if it were UTC's.",
        "meters_of_newest_week": "Meters with readings in the seven days up to it.",
        "readings_of_newest_week": "Their readings with a known value.",
        "completeness_of_newest_week": "Those readings / the intervals of the days with data, 0 to 1.",
    },
)

ANOMALIES = Query(
    """
    SELECT source, CAST(flagged AS double) / rows_out AS flagged_share FROM (
        SELECT source, rows_out, figures['flagged'] AS flagged,
            row_number() OVER (PARTITION BY source ORDER BY started_at DESC) AS back
        FROM runs WHERE step = 'score' AND rows_out > 0
    ) WHERE back = 1
    """,
    ("source",),
    {"flagged_share": "Flagged readings / readings that the last scoring scored, 0 to 1."},
)

QUERIES = (STEPS, RUNS, LEDGER, GATES, READINGS, ANOMALIES)
