"""Hours -> load factor, capacity and growth per region, feeder and month, as a whole and by tariff band.

The load of an hour is the sum over the element's meters. Where some of them are unknown it is scaled up as if they were
like the others, down to the source's coverage floor; below it the hour is unknown and counts nowhere.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.sources.tariff import ALL
from meterlake.transforms.int_readings_hourly import MICRO, exact_sum
from meterlake.transforms.place_loads import PLACE

ELEMENT = ("level", "element")
BAND_OF_MONTH = (*ELEMENT, "month_local", "band")
LARGEST = 10  # hours whose mean is the capacity


def build(loads: DataFrame, monthly: DataFrame, meters: DataFrame, hours: DataFrame, source: Source) -> DataFrame:
    """What the months of `hours` say by themselves: rows of `mart_load_factors` without the year before.

    Args:
        loads: rows of `int_place_loads`, all of the source in those months.
        monthly: all its rows of `int_readings_monthly` of those months.
        meters: rows of `stg_meters` of the source.
        hours: rows of `tariff_hours.calendar`.
    """
    known = (
        _hours_of_elements(loads, source)
        .join(F.broadcast(hours), on="hour_start")
        .join(_members(monthly, meters, source), on=[*ELEMENT, "month_local"])
        .withColumn("load_kw", _load(source.coverage_floor))
    )
    bands = known.groupBy(*BAND_OF_MONTH).agg(
        *(F.max(name).alias(name) for name in ("region", "meters", "hours")),
        F.count("load_kw").alias("hours_known"),
        exact_sum("known", MICRO).alias("known"),
        exact_sum("kwh").alias("energy_kwh"),
        exact_sum("load_kw").alias("load_kwh"),
        F.max("load_kw").alias("peak_load_kw"),
        F.max_by("hour_start", _earliest_largest()).alias("peak_hour_start"),
        F.slice(F.sort_array(F.collect_list("load_kw"), asc=False), 1, LARGEST).alias("largest"),
    )
    return bands.withColumns(_figures()).drop("known", "load_kwh", "largest").withColumn("source", F.lit(source.name))


def compared(figures: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_load_factors`: the figures of `build`, beside those of the same month a year before among them.

    Means are compared, not sums: of months of 28 and 29 days, and where hours are unknown. A month of which less than
    the coverage floor is known says nothing of growth.
    """
    known = F.when(F.col("hours_known") >= source.coverage_floor * F.col("hours"), F.col("mean_load_kw"))
    a_year_later = F.add_months("month_local", 12).alias("month_local")
    before = figures.select(*ELEMENT, a_year_later, "band", known.alias("year_before_load_kw"))
    year_before = F.col("year_before_load_kw")
    growth = F.when(year_before > 0, (known / year_before - 1) * 100)
    return figures.join(before, on=list(BAND_OF_MONTH), how="left").withColumn("growth_pct", growth)


def _hours_of_elements(loads: DataFrame, source: Source) -> DataFrame:
    """`kwh` of each element and hour, and how many meters are `known` in it."""
    places = loads.withColumns({name: F.nullif(F.col(name), F.lit("")) for name in PLACE})
    of_elements = on_every_level(places, source).groupBy(*ELEMENT, "hour_start")
    return of_elements.agg(exact_sum("kwh").alias("kwh"), exact_sum("known", MICRO).alias("known"))


def _members(monthly: DataFrame, meters: DataFrame, source: Source) -> DataFrame:
    """The meters of each element that have a reading in the month, and the region it lies in."""
    places = meters.select("meter_id", *PLACE)
    present = monthly.where(F.col("reading_count") > 0).join(places, on="meter_id", how="left")
    of_elements = on_every_level(present, source).groupBy(*ELEMENT, "month_local")
    return of_elements.agg(F.count("*").alias("meters"), F.max("region_of").alias("region"))


def on_every_level(rows: DataFrame, source: Source) -> DataFrame:
    """The rows once for each `level` and `element` they belong to; who has no feeder is in none."""
    nowhere = F.lit(None).cast("string")
    elements = {
        "source": (F.lit(source.name), nowhere),
        "region": (F.col("region"), F.col("region")),
        "feeder": (F.col("feeder"), F.col("region")),
    }
    of = (
        F.struct(F.lit(level).alias("level"), element.alias("element"), region.alias("region_of"))
        for level, (element, region) in elements.items()
    )
    exploded = rows.withColumn("of", F.explode(F.array(*of))).where(F.col("of.element").isNotNull())
    return exploded.select("*", "of.*").drop("of")


def _load(floor: float) -> Column:
    """Mean load of the element in an hour, kW: that is its kWh."""
    enough = F.col("known") >= floor * F.col("meters")
    return F.when(enough, F.col("kwh") * (F.col("meters") / F.col("known")))


def _earliest_largest() -> Column:
    """What the peak hour has the most of; of equal loads the first hour."""
    return F.when(F.col("load_kw").isNotNull(), F.struct("load_kw", (-F.unix_timestamp("hour_start")).alias("earlier")))


def _figures() -> dict[str, Column]:
    mean = F.try_divide(F.col("load_kwh"), F.col("hours_known"))
    total = F.aggregate("largest", F.lit(0.0), lambda so_far, load: so_far + load)
    whole = F.max(F.when(F.col("band") == ALL, F.col("energy_kwh"))).over(Window.partitionBy(*ELEMENT, "month_local"))
    return {
        "mean_load_kw": mean,
        "load_factor": F.when(F.col("peak_load_kw") > 0, mean / F.col("peak_load_kw")),
        "capacity_kw": F.when(F.size("largest") == LARGEST, total / LARGEST),
        "completeness": F.col("known") / (F.col("meters") * F.col("hours")),
        "energy_share": F.try_divide(F.col("energy_kwh"), whole),
    }
