from meterlake.tables.shared_columns import ENERGY, FEEDER, METER_ID, READING_DATE_LOCAL, REGION, SOURCE
from meterlake.tables.table import Column, Published, Table

MART_INSPECTIONS = Table(
    name="mart_inspections",
    layer="gold",
    description="The meter-days that deserve an inspection: as whole days they are unlike their meter's eight weeks "
    "before, more so than all but a declared share (0.1 % unless changed) of the days of training.",
    grain="one meter and local day above the threshold",
    owner="data-science",
    columns=(
        SOURCE,
        METER_ID,
        REGION,
        FEEDER,
        READING_DATE_LOCAL,
        Column("day_score", "double", "0 to 1, 1 is worst; above 0.6 the day stands here.", required=True),
        Column("surprise", "double", "-ln of how rare the two most surprising signs are, together.", required=True),
        Column("consumption_kwh", ENERGY, "Energy of the day, filled up from its metered hours.", "kWh", adds_up=True),
        Column("usual_kwh", ENERGY, "Median of the day's past; null where too little is known.", "kWh"),
        Column("reasons", "string", "Its two most surprising signs, in a sentence.", required=True),
        Column("model_version", "string", "Name and version of the model in the registry.", required=True),
    ),
    key=("source", "meter_id", "reading_date_local"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("int_readings_hourly", "stg_meters"),
    checks=(("day_score_in_range", "day_score BETWEEN 0 AND 1"),),
    change_feed=True,
    published=Published(
        clickhouse="inspections",
        order_by=("source", "reading_date_local", "meter_id"),
        indexes=(("source", "day_score"),),
        low_cardinality=("source", "region", "feeder", "model_version"),
    ),
)
