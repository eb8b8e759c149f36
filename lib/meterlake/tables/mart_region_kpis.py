from meterlake.tables.shared_columns import ENERGY, SOURCE
from meterlake.tables.table import SMALLEST_GROUP, Column, Published, Table

MART_REGION_KPIS = Table(
    name="mart_region_kpis",
    layer="gold",
    description="What a region took in, billed and lost in a month. Energies and losses are of its balanced days only: "
    "in and out are of the same days. `days_balanced` of `days` says how many those are.",
    grain="one region and local month",
    owner="analytics",
    columns=(
        SOURCE,
        Column("region", "string", "Region of the grid, as delivered.", required=True),
        Column("month_local", "date", "First day of the month on the source's clock.", required=True),
        Column("days", "bigint", "Local days of the month with data.", required=True),
        Column("days_balanced", "bigint", "Those on which enough was known for a balance.", required=True),
        Column("delivered_kwh", ENERGY, "Energy delivered to the region: its supply.", "kWh"),
        Column("billed_kwh", ENERGY, "What its customers' meters read.", "kWh"),
        Column("missing_kwh", ENERGY, "Energy of unknown readings, as if like the known.", "kWh"),
        Column("technical_loss_kwh", ENERGY, "Loss in transformers and lines by the source's model.", "kWh"),
        Column("non_technical_loss_kwh", ENERGY, "What is left: theft, wrong meters, wrong data.", "kWh"),
        Column("loss_share", "double", "(delivered - billed - missing) / delivered."),
        Column(
            "non_technical_loss_cost",
            ENERGY,
            "Non-technical loss at the source's `losses.energy_price`; null without one.",
            "in the currency of losses.currency",
        ),
        Column("currency", "string", "Currency of the cost, as declared; null without a price."),
        Column("meters", "bigint", "Customers' meters that are known to be in the region.", required=True),
        Column("meters_online", "bigint", "Those with a known reading in the month.", required=True),
        Column("completeness", "double", "Share of the month's intervals of those meters that is known."),
    ),
    key=("source", "region", "month_local"),
    day="month_local",
    cluster_by=("source", "month_local"),
    derives_from=("mart_energy_balance", "int_readings_monthly", "stg_meters"),
    change_feed=True,
    personal_rows=f"meters < {SMALLEST_GROUP}",
    published=Published(
        clickhouse="region_kpis",
        order_by=("source", "region", "month_local"),
        low_cardinality=("source", "region", "currency"),
    ),
)
