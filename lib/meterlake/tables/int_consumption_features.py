from meterlake.tables.shared_columns import METER_ID, QUALITY, READING_DATE_LOCAL, READING_ID, READING_TIMESTAMP, SOURCE
from meterlake.tables.table import Column, Table

INT_CONSUMPTION_FEATURES = Table(
    name="int_consumption_features",
    layer="silver",
    description="What the anomaly model sees of each reading: its value beside the meter's own near past.",
    grain="one interval of one meter",
    owner="data-science",
    columns=(
        READING_ID,
        SOURCE,
        METER_ID,
        READING_TIMESTAMP,
        READING_DATE_LOCAL,
        Column("consumption_kwh", "double", "Energy of the interval.", "kWh"),
        Column("active_power_kw", "double", "Mean active power of the interval.", "kW"),
        Column(
            "rolling_mean_kwh_1h", "double", "Mean of the known readings in the hour that ends with this one.", "kWh"
        ),
        Column(
            "rolling_mean_kwh_24h", "double", "Mean of the known readings in the 24 h that end with this one.", "kWh"
        ),
        Column("rolling_std_kwh_24h", "double", "Sample standard deviation over the same 24 h.", "kWh"),
        Column("ratio_to_mean_24h", "double", "consumption_kwh / rolling_mean_kwh_24h; null when the mean is 0."),
        Column("same_hour_last_day_kwh", "double", "Energy of the interval 24 h earlier.", "kWh"),
        Column("same_hour_last_week_kwh", "double", "Energy of the interval 168 h earlier.", "kWh"),
        Column("sub_metering_1_ratio", "double", "First sub-meter's share of the energy."),
        Column("sub_metering_2_ratio", "double", "Second sub-meter's share of the energy."),
        Column("sub_metering_3_ratio", "double", "Third sub-meter's share of the energy."),
        Column("hour_of_day", "int", "Hour on the source's clock, 0-23.", "h", required=True),
        Column("day_of_week", "int", "Local day of the week, 1 Monday to 7 Sunday.", required=True),
        Column("is_weekend", "boolean", "Saturday or Sunday on the source's clock.", required=True),
        Column("month_of_year", "int", "Month on the source's clock, 1-12.", required=True),
        Column("temperature_c", "double", "Air temperature.", "C"),
        Column("humidity_pct", "double", "Relative humidity.", "%"),
        QUALITY,
    ),
    key=("source", "meter_id", "reading_timestamp"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local", "meter_id"),
    derives_from=("stg_meter_readings",),
    change_feed=True,
)
