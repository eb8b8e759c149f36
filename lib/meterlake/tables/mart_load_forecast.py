from meterlake.tables.shared_columns import SOURCE
from meterlake.tables.table import Column, Published, RegionsOf, Table

MART_LOAD_FORECAST = Table(
    name="mart_load_forecast",
    layer="gold",
    description="Load forecast a day and a week ahead with a band, as made at each origin; earlier forecasts stay.",
    grain="one hour of one element, as forecast at one origin",
    owner="data-science",
    columns=(
        SOURCE,
        Column("level", "string", "What the element is: source, region, feeder or meter.", required=True),
        Column("element", "string", "Name of the source, region, feeder or meter.", required=True),
        Column("forecast_origin", "timestamp", "End of the last local day that was known, UTC.", required=True),
        Column("target_hour", "timestamp", "Start of the hour that is forecast, UTC.", required=True),
        Column("target_date_local", "date", "Calendar day of that hour on the customers' clock.", required=True),
        Column("horizon_h", "int", "Hours from the origin to the end of that hour, 1 to 168.", "h", required=True),
        Column("load_p10_kwh", "decimal(18,4)", "Energy of the hour that 1 of 10 stays below.", "kWh", required=True),
        Column("load_p50_kwh", "decimal(18,4)", "Median: the forecast itself.", "kWh", required=True),
        Column("load_p90_kwh", "decimal(18,4)", "Energy of the hour that 9 of 10 stay below.", "kWh", required=True),
        Column("model_version", "string", "Name of the models and of their run in MLflow.", required=True),
        Column("made_at", "timestamp", "When it was made, UTC.", required=True),
    ),
    key=("source", "level", "element", "forecast_origin", "target_hour"),
    day="target_date_local",
    cluster_by=("source", "target_date_local", "element"),
    derives_from=("int_readings_hourly", "stg_meters", "stg_meter_readings"),
    checks=(("quantiles_do_not_cross", "load_p10_kwh <= load_p50_kwh AND load_p50_kwh <= load_p90_kwh"),),
    change_feed=True,
    personal_rows="level = 'meter'",
    published=Published(
        clickhouse="load_forecast",
        order_by=("source", "level", "element", "forecast_origin", "target_hour"),
        indexes=(("source", "target_date_local"),),
        low_cardinality=("source", "level", "element", "model_version"),
        regions=tuple(
            RegionsOf(
                mart="mart_consumption_metrics",
                matching=(("source", "source"), ("element", column)),
                there="period = 'month'",
                where=f"level = '{level}'",
            )
            for level, column in (("region", "region"), ("feeder", "feeder"), ("meter", "meter_id"))
        ),
    ),
)
