"""The lines that did not become current readings because they broke a rule or repeat another line."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.quality.rules import CONFLICTING_DUPLICATE, EXACT_DUPLICATE, OTHER_QUANTITY
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS


def build(compared: DataFrame, rejected: DataFrame) -> DataFrame:
    """Rows of `quarantined_readings` from both results of `stg_meter_readings.judge`."""
    repeated = compared.where(F.col("status").isin(EXACT_DUPLICATE, CONFLICTING_DUPLICATE) & (F.col("file_id") > 0))
    names = QUARANTINED_READINGS.names
    return rejected.select(names).unionByName(repeated.withColumn("reasons", F.array("status")).select(names))


def counts() -> list[Column]:
    """What the ledger counts in quarantine: `exact_duplicates`, `quarantined` (all others), and of these
    `other_quantity`, the lines that break no other rule."""
    repeated = F.array_contains("reasons", EXACT_DUPLICATE)
    other = F.col("reasons") == F.array(F.lit(OTHER_QUANTITY))
    told = {"exact_duplicates": repeated, "quarantined": ~repeated, "other_quantity": other}
    return [F.count_if(of).alias(name) for name, of in told.items()]
