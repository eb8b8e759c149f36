from meterlake.tables.shared_columns import ENERGY, FEEDER, METER_ID, READING_DATE_LOCAL, REGION, SOURCE
from meterlake.tables.table import Column, Table

LOSS_FINDINGS = Table(
    name="loss_findings",
    layer="silver",
    description="The meter-days whose readings, being wrong in one of a few ways, explain hour by hour what their "
    "transformer misses. Only with odds of ten to one on or more; only below transformers with supply meters.",
    grain="one meter and local day that explains its transformer's loss",
    owner="analytics",
    columns=(
        SOURCE,
        METER_ID,
        REGION,
        FEEDER,
        Column("transformer", "string", "Distribution transformer that supplies the meter.", required=True),
        READING_DATE_LOCAL,
        Column(
            "form",
            "string",
            "How it is wrong: share, at_night, by_day (a share of the use is not read), reading (one is too high), "
            "backwards, clock.",
            required=True,
        ),
        Column("probability", "double", "That it is, against all other meters and none.", required=True),
        Column(
            "hidden_kwh",
            ENERGY,
            "Used and not read, by this form; below 0 where the readings are too high.",
            "kWh",
            required=True,
            adds_up=True,
        ),
        Column("missing_kwh", ENERGY, "What the transformer misses in its known hours.", "kWh", required=True),
        Column("reason", "string", "The same in a sentence.", required=True),
    ),
    key=("source", "meter_id", "reading_date_local"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("int_readings_hourly", "int_readings_daily", "stg_meters"),
    checks=(("probability_in_range", "probability BETWEEN 0 AND 1"),),
    change_feed=True,
)
