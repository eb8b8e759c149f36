from meterlake.tables.shared_columns import ELEMENT_MONTH, ENERGY, SOURCE
from meterlake.tables.table import SMALLEST_GROUP, Column, Published, Table

MART_LOAD_FACTORS = Table(
    name="mart_load_factors",
    layer="gold",
    description="How much and how evenly a source, region or feeder uses in a month, as a whole (band `all`) and in "
    "each band of the source's tariff. Its load is what its customers' meters read, without the losses of the grid.",
    grain="one source, region or feeder, local month and tariff band",
    owner="analytics",
    columns=(
        SOURCE,
        *ELEMENT_MONTH,
        Column("band", "string", "Band of the tariff, or `all`: the whole month.", required=True),
        Column("meters", "bigint", "Meters of the element with a known reading in the month.", required=True),
        Column("hours", "bigint", "Hours of the month in the band.", "h", required=True),
        Column(
            "hours_known", "bigint", "Those in which enough of the meters is known to tell a load.", "h", required=True
        ),
        Column("completeness", "double", "Share of the hours of those meters that is known.", required=True),
        Column("energy_kwh", ENERGY, "Sum of the known readings; null when none is known.", "kWh"),
        Column("energy_share", "double", "energy_kwh / that of the band `all`: of the peak band, the peak share."),
        Column("mean_load_kw", "double", "Mean of the known hours; null when none is known.", "kW"),
        Column("peak_load_kw", "double", "Largest known hour.", "kW"),
        Column("peak_hour_start", "timestamp", "Start of that hour, UTC; of equal hours the first."),
        Column("capacity_kw", "double", "Mean of the ten largest known hours; null when fewer are known.", "kW"),
        Column("load_factor", "double", "mean_load_kw / peak_load_kw; null when the peak is 0 or unknown."),
        Column(
            "year_before_load_kw",
            "double",
            "mean_load_kw of the same month a year before; null when too little of that is known.",
            "kW",
        ),
        Column(
            "growth_pct",
            "double",
            "Change of mean_load_kw against it, new meters included; null when too little of either is known.",
            "%",
        ),
    ),
    key=("source", "level", "element", "month_local", "band"),
    day="month_local",
    cluster_by=("source", "month_local"),
    derives_from=("int_readings_hourly", "int_readings_monthly", "stg_meters"),
    change_feed=True,
    personal_rows=f"meters < {SMALLEST_GROUP}",
    published=Published(
        clickhouse="load_factors",
        order_by=("source", "level", "element", "month_local", "band"),
        indexes=(("source", "month_local"),),
        low_cardinality=("source", "level", "element", "region", "band"),
    ),
)
