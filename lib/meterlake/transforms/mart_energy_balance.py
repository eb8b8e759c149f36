"""Energy in against energy out, per transformer, feeder and region and local day.

    non-technical loss = supplied - delivered - missing - technical loss

Technical loss of a day, with P the supply by hour and M its mean over the month's complete days (kW):
fixed_share M h + i2r_share sum(P^2) / M, h the hours of the day. sum(P^2) / (h M^2) is the squared form factor of the
load: the load loss of the mean, times how uneven the load is (the method of the form factor; T. Gönen, Electric Power
Distribution Engineering, on loss factors). It needs no rating of the element, only the two shares of the source.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from meterlake.sources.source import Losses, Source
from meterlake.tables.mart_energy_balance import MART_ENERGY_BALANCE
from meterlake.transforms.int_readings_hourly import MICRO, exact_sum

LEVELS = ("transformer", "feeder", "region")
DAY = "reading_date_local"
ELEMENT_DAY = ("level", "element", DAY)
BALANCED, NO_METER, INCOMPLETE, UNCOVERED = (
    "balanced",
    "no_supply_meter",
    "supply_incomplete",
    "coverage_below_floor",
)
ENERGIES = ("supplied_kwh", "delivered_kwh", "missing_kwh", "technical_loss_kwh")


def build(hourly: DataFrame, daily: DataFrame, monthly: DataFrame, meters: DataFrame, source: Source) -> DataFrame:
    """Each element's own balance, from whole months of both sources: the customers' and the supply meters'.

    Args:
        hourly: hours of the supply meters.
        daily, monthly: days and months of both.
        meters: `stg_meters` of both.

    Returns:
        `level`, `element`, `region`, `feeder`, day, the energies (kWh, null where unknown), `customers`, `known` (how
        many customers' days are known) and `status`; to be persisted, as `rolled_up` reads it three times.
    """
    losses = source.losses
    assert losses is not None
    present = monthly.where(F.col("reading_count") > 0).select("source", "meter_id", "month_local")
    customers = placed(meters.where(F.col("source") == source.name))
    supply_meters = placed(meters.where(F.col("source") == losses.supply_source)).where(F.col("level").isNotNull())
    delivered = _delivered(daily, present, customers)
    supplied = _supplied(hourly, daily, present, supply_meters, losses)
    floor = losses.coverage_floor
    return (
        delivered.join(supplied, on=list(ELEMENT_DAY), how="left")
        .withColumn("coverage", F.least(F.col("known") / F.col("customers"), F.lit(1.0)))
        .withColumn("status", _status(floor))
        .withColumn("missing_kwh", F.col("delivered_kwh") * (F.try_divide(F.lit(1.0), F.col("coverage")) - 1))
    )


def rolled_up(own: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_energy_balance`: what has no supply meter is the sum of the balanced elements below it."""
    assert source.losses is not None
    floor = source.losses.coverage_floor
    transformers, feeders, regions = (own.where(F.col("level") == level) for level in LEVELS)
    feeders = _from_below(feeders, transformers, "feeder", floor)
    regions = _from_below(regions, feeders, "region", floor)
    told = transformers.unionByName(feeders, allowMissingColumns=True).unionByName(regions, allowMissingColumns=True)
    return told.withColumn("source", F.lit(source.name)).withColumns(_losses()).select(*MART_ENERGY_BALANCE.names)


def placed(meters: DataFrame) -> DataFrame:
    """Meters with their place; `level` and `element` are the lowest that is known of it."""
    lowest = [F.when(F.col(level).isNotNull(), F.lit(level)) for level in LEVELS]
    return meters.select(
        "source",
        "meter_id",
        *LEVELS,
        F.coalesce(*lowest).alias("level"),
        F.coalesce(*LEVELS).alias("element"),
    )


def _delivered(daily: DataFrame, present: DataFrame, customers: DataFrame) -> DataFrame:
    """Energy out: `delivered_kwh`, `known` customer-days, of `customers` with a reading in the month, on every level.

    A day on which nobody under an element has a reading is there, too, with nothing known.
    """
    month = F.trunc(DAY, "month").cast("date").alias("month_local")
    members = present.join(customers, on=["source", "meter_id"]).groupBy(*LEVELS, "month_local")
    places = members.agg(F.count("*").alias("customers"))
    days = daily.select(DAY, month).distinct()
    of_day = daily.join(customers, on=["source", "meter_id"]).groupBy(*LEVELS, DAY)
    energy = of_day.agg(
        exact_sum("consumption_kwh").alias("delivered_kwh"), exact_sum("completeness", MICRO).alias("known")
    )
    calendar = places.join(F.broadcast(days), on="month_local")
    same_place = [calendar[name].eqNullSafe(energy[name]) for name in (*LEVELS, DAY)]
    joined = calendar.join(energy, on=same_place, how="left").select(
        *(calendar[name] for name in (*LEVELS, DAY, "customers")), "delivered_kwh", "known"
    )
    levels = F.array(*(F.struct(F.lit(level).alias("level"), F.col(level).alias("element")) for level in LEVELS))
    exploded = joined.withColumn("at", F.explode(levels)).where(F.col("at.element").isNotNull())
    below_region = F.when(F.col("at.level") != "region", F.col("feeder"))
    return exploded.groupBy(F.col("at.level").alias("level"), F.col("at.element").alias("element"), DAY).agg(
        F.max("region").alias("region"),
        F.max(below_region).alias("feeder"),
        F.sum("customers").alias("customers"),
        exact_sum("delivered_kwh").alias("delivered_kwh"),
        F.coalesce(exact_sum("known", MICRO), F.lit(0.0)).alias("known"),
    )


def _supplied(
    hourly: DataFrame, daily: DataFrame, present: DataFrame, supply_meters: DataFrame, losses: Losses
) -> DataFrame:
    """Energy in, where all of the element's supply meters are complete, and the technical loss that goes with it.

    Returns:
        `metered` tells a day on which the element has a supply meter at all.
    """
    month = F.trunc(DAY, "month").cast("date")
    meters = present.join(supply_meters, on=["source", "meter_id"]).groupBy("level", "element", "month_local")
    reporting = daily.join(supply_meters, on=["source", "meter_id"]).groupBy(*ELEMENT_DAY)
    complete = reporting.agg(exact_sum("completeness", MICRO).alias("whole")).withColumn("month_local", month)
    hours = hourly.join(F.broadcast(supply_meters.drop(*LEVELS)), on=["source", "meter_id"])
    hours = hours.groupBy(*ELEMENT_DAY, "hour_start").agg(exact_sum("consumption_kwh").alias("kwh"))
    squared = exact_sum(F.col("kwh") * F.col("kwh"), MICRO)
    days = hours.groupBy(*ELEMENT_DAY).agg(
        exact_sum("kwh").alias("supplied_kwh"), squared.alias("square"), F.count("kwh").alias("hours")
    )
    known = (
        meters.agg(F.count("*").alias("meters"))
        .join(complete, on=["level", "element", "month_local"])
        .join(days, on=list(ELEMENT_DAY))
        .withColumn("complete", F.col("whole") >= F.col("meters"))
    )
    of_month = Window.partitionBy("level", "element", "month_local")
    energy = F.sum(F.when(F.col("complete"), F.rint(F.col("supplied_kwh") * MICRO).cast("bigint"))).over(of_month)
    mean_kw = energy / MICRO / F.sum(F.when(F.col("complete"), F.col("hours"))).over(of_month)
    return known.withColumn("mean_kw", mean_kw).select(
        *ELEMENT_DAY,
        F.lit(True).alias("metered"),
        F.when(F.col("complete"), F.col("supplied_kwh")).alias("supplied_kwh"),
        F.when(F.col("complete"), _technical_loss(losses)).alias("technical_loss_kwh"),
    )


def _technical_loss(losses: Losses) -> Column:
    at_transformer = F.col("level") == "transformer"
    fixed, i2r = (
        F.when(at_transformer, getattr(losses.transformer, share)).otherwise(getattr(losses.feeder, share))
        for share in ("fixed_share", "i2r_share")
    )
    load_loss = F.coalesce(F.try_divide(F.col("square"), F.col("mean_kw")), F.lit(0.0))
    return fixed * F.col("mean_kw") * F.col("hours") + i2r * load_loss


def _status(floor: float) -> Column:
    return (
        F.when(F.col("metered").isNull(), NO_METER)
        .when(F.col("supplied_kwh").isNull(), INCOMPLETE)
        .when(F.col("coverage") < floor, UNCOVERED)
        .otherwise(BALANCED)
    )


def _from_below(own: DataFrame, children: DataFrame, parent: str, floor: float) -> DataFrame:
    """The elements; the energies of one without a supply meter are sums over its balanced children.

    Its coverage is the share of its customers' days that are known under those children.
    """
    sums = (exact_sum(name).alias(f"{name}_below") for name in ENERGIES)
    below = (
        children.where((F.col("status") == BALANCED) & F.col(parent).isNotNull())
        .groupBy(F.col(parent).alias("element"), DAY)
        .agg(*sums, exact_sum("known", MICRO).alias("known_below"))
    )
    joined = own.join(below, on=["element", DAY], how="left")
    summed = (F.col("status") == NO_METER) & F.col("known_below").isNotNull()
    coverage = F.when(summed, F.col("known_below") / F.col("customers")).otherwise(F.col("coverage"))
    status = F.when(coverage < floor, UNCOVERED).otherwise(BALANCED)
    return (
        joined.withColumn("coverage", coverage)
        .withColumns({name: F.when(summed, F.col(f"{name}_below")).otherwise(F.col(name)) for name in ENERGIES})
        .withColumn("status", F.when(summed, status).otherwise(F.col("status")))
        .drop("known_below", *(f"{name}_below" for name in ENERGIES))
    )


def _losses() -> dict[str, Column]:
    """The losses of a balanced day; of any other they are unknown, never 0."""
    balanced = F.col("status") == BALANCED
    lost = F.col("supplied_kwh") - F.col("delivered_kwh") - F.col("missing_kwh")
    rest = lost - F.col("technical_loss_kwh")
    told = {
        "missing_kwh": F.col("missing_kwh"),
        "technical_loss_kwh": F.col("technical_loss_kwh"),
        "non_technical_loss_kwh": rest,
        "loss_share": F.try_divide(lost, F.col("supplied_kwh")),
        "non_technical_share": F.try_divide(rest, F.col("supplied_kwh")),
    }
    return {name: F.when(balanced, column) for name, column in told.items()}
