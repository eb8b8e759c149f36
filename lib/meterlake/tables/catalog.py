"""All tables by name."""

from meterlake.tables.corrected_readings import CORRECTED_READINGS
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.int_place_loads import INT_PLACE_LOADS
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.loss_findings import LOSS_FINDINGS
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.mart_consumption_metrics import MART_CONSUMPTION_METRICS
from meterlake.tables.mart_energy_balance import MART_ENERGY_BALANCE
from meterlake.tables.mart_feeder_outages import MART_FEEDER_OUTAGES
from meterlake.tables.mart_inspections import MART_INSPECTIONS
from meterlake.tables.mart_load_factors import MART_LOAD_FACTORS
from meterlake.tables.mart_load_forecast import MART_LOAD_FORECAST
from meterlake.tables.mart_load_profile import MART_LOAD_PROFILE
from meterlake.tables.mart_region_kpis import MART_REGION_KPIS
from meterlake.tables.mart_reliability import MART_RELIABILITY
from meterlake.tables.mart_suspects import MART_SUSPECTS
from meterlake.tables.mart_weekly_load_profile import MART_WEEKLY_LOAD_PROFILE
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LEDGER, LOADED_FILES, QUALITY_RESULTS, RUNS
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.recoveries import RECOVERIES, RECOVERY_DIFFS, RELEASED_READINGS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.table import Table
from meterlake.tables.vee_findings import VEE_FINDINGS

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        METER_READINGS,
        STG_METER_READINGS,
        STG_METERS,
        QUARANTINED_READINGS,
        CORRECTED_READINGS,
        VEE_FINDINGS,
        LOSS_FINDINGS,
        RELEASED_READINGS,
        INT_READINGS_HOURLY,
        INT_READINGS_DAILY,
        INT_READINGS_MONTHLY,
        INT_CONSUMPTION_FEATURES,
        INT_PLACE_LOADS,
        MART_CONSUMPTION_METRICS,
        MART_ANOMALY_SCORES,
        MART_ANOMALY_FLAGS,
        MART_INSPECTIONS,
        MART_LOAD_PROFILE,
        MART_WEEKLY_LOAD_PROFILE,
        MART_LOAD_FACTORS,
        MART_ENERGY_BALANCE,
        MART_SUSPECTS,
        MART_REGION_KPIS,
        MART_FEEDER_OUTAGES,
        MART_RELIABILITY,
        MART_LOAD_FORECAST,
        RUNS,
        LOADED_FILES,
        LEDGER,
        QUALITY_RESULTS,
        RECOVERIES,
        RECOVERY_DIFFS,
    )
}

MARTS: tuple[Table, ...] = tuple(table for table in TABLES.values() if table.published)
