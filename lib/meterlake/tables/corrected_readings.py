from meterlake.tables.shared_columns import (
    BATCH_ID,
    METER_ID,
    READING_DATE_LOCAL,
    READING_ID,
    READING_TIMESTAMP,
    RUN_ID,
    SOURCE,
)
from meterlake.tables.table import Column, Table

CORRECTED_READINGS = Table(
    name="corrected_readings",
    layer="silver",
    description="The edit trail: every change of a current reading's energy, with the value before and after.",
    grain="one change of one reading",
    owner="data-engineering",
    columns=(
        READING_ID,
        SOURCE,
        METER_ID,
        READING_TIMESTAMP,
        READING_DATE_LOCAL,
        Column("before_kwh", "double", "Energy before the change; null when it was missing.", "kWh"),
        Column(
            "after_kwh",
            "double",
            "Energy after the change; null when it is missing now, or the day has intervals of another length now.",
            "kWh",
        ),
        Column("before_quality", "string", "Quality before the change; null when there was no reading."),
        Column("after_quality", "string", "Quality after the change; null when there is no such reading now."),
        Column(
            "method",
            "string",
            "What changed it: superseded (a later file delivered another value), a method of estimation, "
            "not_estimated (an estimate was withdrawn), undone, or the recovery that judged its line again (backfill, "
            "replay, release).",
            required=True,
        ),
        Column("rule_version", "string", "Version of the code that decided.", required=True),
        RUN_ID,
        BATCH_ID,
    ),
    key=("reading_id", "run_id", "batch_id"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("stg_meter_readings", "stg_meters", "meter_readings"),
)
