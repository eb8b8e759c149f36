"""DuckDB in memory, every table also to Parquet; scores through Arrow by scikit-learn on the same threads."""

import duckdb
import pyarrow as pa
from tests.benchmarks.given_model import INPUTS, load, scored
from tests.benchmarks.job import Job

BLOCK = 100_000

COLUMNS = """{'meter_id': 'VARCHAR', 'reading_timestamp': 'TIMESTAMP', 'consumption_kwh': 'DOUBLE',
    'voltage_v': 'DOUBLE', 'temperature_c': 'DOUBLE', 'region': 'VARCHAR', 'feeder': 'VARCHAR',
    'transformer': 'VARCHAR', 'customer_id': 'VARCHAR'}"""

# A line that DuckDB cannot read goes to reject_errors by itself.
LINES = """
CREATE TEMP TABLE lines AS
SELECT * FROM read_csv($files, header = true, columns = {columns}, auto_detect = false, delim = ',', quote = '"',
    store_rejects = true, rejects_limit = 0, filename = 'source_file')
"""

JUDGED = """
CREATE TEMP TABLE judged AS
SELECT *, list_filter([
    CASE WHEN meter_id IS NULL OR trim(meter_id) = '' THEN 'missing_meter' END,
    CASE WHEN reading_timestamp IS NULL THEN 'missing_timestamp' END,
    CASE WHEN consumption_kwh IS NULL THEN 'missing_value' END,
    CASE WHEN consumption_kwh < 0 THEN 'negative_energy' END,
    CASE WHEN consumption_kwh > 100 THEN 'energy_out_of_range' END,
    CASE WHEN voltage_v NOT BETWEEN 0 AND 276 THEN 'voltage_out_of_range' END,
    CASE WHEN temperature_c NOT BETWEEN -50 AND 60 THEN 'temperature_out_of_range' END,
    CASE WHEN reading_timestamp > (now() AT TIME ZONE 'UTC') THEN 'future_timestamp' END,
    CASE WHEN epoch_us(reading_timestamp) % 900000000 <> 0 THEN 'off_cadence_timestamp' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM lines
"""

COMPARED = """
CREATE TEMP TABLE repeated AS
WITH keys AS (
    SELECT meter_id, reading_timestamp FROM judged WHERE len(reasons) = 0 GROUP BY ALL HAVING count(*) > 1
)
SELECT judged.*, row_number() OVER one AS copy,
    count(DISTINCT hash(consumption_kwh, voltage_v, temperature_c)) OVER one > 1 AS conflicts
FROM judged SEMI JOIN keys USING (meter_id, reading_timestamp) WHERE len(reasons) = 0
WINDOW one AS (PARTITION BY meter_id, reading_timestamp)
"""

READINGS = """
CREATE TEMP TABLE readings AS
WITH current AS (
    SELECT * EXCLUDE (reasons) FROM judged ANTI JOIN repeated USING (meter_id, reading_timestamp)
    WHERE len(reasons) = 0
    UNION ALL BY NAME
    SELECT * EXCLUDE (reasons, copy, conflicts) FROM repeated WHERE NOT conflicts AND copy = 1
)
SELECT concat_ws(':', 'ami', meter_id, epoch(reading_timestamp)::BIGINT) AS reading_id, meter_id, reading_timestamp,
    consumption_kwh, consumption_kwh / 0.25 AS active_power_kw, voltage_v, temperature_c,
    reading_timestamp::DATE AS reading_date_local, hour(reading_timestamp)::INTEGER AS hour_of_day,
    isodow(reading_timestamp)::INTEGER AS day_of_week
FROM current
"""

REJECTED = """
CREATE TEMP TABLE rejected AS
SELECT meter_id, reading_timestamp, consumption_kwh, reasons, source_file, NULL::VARCHAR AS raw_line
FROM judged WHERE len(reasons) > 0
UNION ALL BY NAME
SELECT meter_id, reading_timestamp, consumption_kwh, source_file,
    [CASE WHEN conflicts THEN 'conflicting_duplicate' ELSE 'exact_duplicate' END] AS reasons
FROM repeated WHERE conflicts OR copy > 1
UNION ALL BY NAME
SELECT any_value(csv_line) AS raw_line, ['unparsable'] AS reasons, any_value(file_path) AS source_file
FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY scan_id, file_id, line
"""

METERS = """
CREATE TEMP TABLE meters AS
SELECT meter_id, any_value(region) AS region, any_value(feeder) AS feeder FROM lines
WHERE meter_id IS NOT NULL GROUP BY meter_id
"""

HOURLY = """
CREATE TEMP TABLE hourly AS
SELECT meter_id, date_trunc('hour', reading_timestamp) AS hour_start, reading_date_local, hour_of_day,
    round(sum(consumption_kwh), 8) AS consumption_kwh,
    round(sum(consumption_kwh), 8) / (count(*) * 0.25) AS avg_power_kw,
    max(active_power_kw) AS max_power_kw, min(active_power_kw) AS min_power_kw, avg(voltage_v) AS avg_voltage_v,
    count(*) AS reading_count, 4::BIGINT AS expected_count, count(*) / 4 AS completeness
FROM readings GROUP BY ALL
"""

MEASURES = """
    round(sum(consumption_kwh), 8) AS consumption_kwh,
    round(sum(consumption_kwh), 8) / (sum(reading_count) * 0.25) AS avg_power_kw,
    max(max_power_kw) AS max_power_kw, min(min_power_kw) AS min_power_kw,
    sum(avg_voltage_v * reading_count) / sum(reading_count) FILTER (avg_voltage_v IS NOT NULL) AS avg_voltage_v,
    sum(reading_count)::BIGINT AS reading_count"""

DAILY = f"""
CREATE TEMP TABLE daily AS
SELECT meter_id, reading_date_local, {MEASURES}, 96::BIGINT AS expected_count, sum(reading_count) / 96 AS completeness,
    arg_max(hour_start, (consumption_kwh, -epoch(hour_start))) AS peak_hour_start,
    arg_max(hour_of_day, (consumption_kwh, -epoch(hour_start))) AS peak_hour_of_day,
    max(consumption_kwh) AS peak_hour_kwh, max(max_power_kw) AS peak_power_kw
FROM hourly GROUP BY ALL
"""

MONTHLY = f"""
CREATE TEMP TABLE monthly AS
SELECT meter_id, date_trunc('month', reading_date_local)::DATE AS month_local, {MEASURES},
    any_value(96 * day(last_day(reading_date_local)))::BIGINT AS expected_count,
    sum(reading_count) / any_value(96 * day(last_day(reading_date_local))) AS completeness,
    arg_max(peak_hour_start, (peak_hour_kwh, -epoch(peak_hour_start))) AS peak_hour_start,
    arg_max(peak_hour_of_day, (peak_hour_kwh, -epoch(peak_hour_start))) AS peak_hour_of_day,
    max(peak_hour_kwh) AS peak_hour_kwh, max(peak_power_kw) AS peak_power_kw
FROM daily GROUP BY meter_id, month_local
"""

FEATURES = """
CREATE TEMP TABLE features AS
WITH rolled AS (
    SELECT reading_id, meter_id, reading_timestamp, reading_date_local, consumption_kwh, active_power_kw,
        avg(consumption_kwh) OVER hour AS rolling_mean_kwh_1h, avg(consumption_kwh) OVER day AS rolling_mean_kwh_24h,
        stddev_samp(consumption_kwh) OVER day AS rolling_std_kwh_24h, hour_of_day, day_of_week, temperature_c
    FROM readings
    WINDOW hour AS (PARTITION BY meter_id ORDER BY reading_timestamp
                    RANGE BETWEEN INTERVAL 45 MINUTES PRECEDING AND CURRENT ROW),
           day AS (PARTITION BY meter_id ORDER BY reading_timestamp
                   RANGE BETWEEN INTERVAL 1425 MINUTES PRECEDING AND CURRENT ROW)
)
SELECT rolled.*, rolled.consumption_kwh / nullif(rolling_mean_kwh_24h, 0) AS ratio_to_mean_24h,
    day.consumption_kwh AS same_hour_last_day_kwh, week.consumption_kwh AS same_hour_last_week_kwh,
    rolled.day_of_week >= 6 AS is_weekend, month(rolled.reading_date_local)::INTEGER AS month_of_year
FROM rolled
LEFT JOIN readings AS day
    ON day.meter_id = rolled.meter_id AND day.reading_timestamp = rolled.reading_timestamp - INTERVAL 1 DAY
LEFT JOIN readings AS week
    ON week.meter_id = rolled.meter_id AND week.reading_timestamp = rolled.reading_timestamp - INTERVAL 7 DAYS
"""

TO_SCORE = f"""
SELECT reading_id, meter_id, reading_timestamp, reading_date_local, active_power_kw, {", ".join(INPUTS)},
    coalesce((same_hour_last_day_kwh + same_hour_last_week_kwh) / 2, same_hour_last_day_kwh, same_hour_last_week_kwh,
        CASE WHEN rolling_std_kwh_24h IS NOT NULL THEN rolling_mean_kwh_24h END) AS expected_kwh
FROM features
"""

SCORES = """
CREATE TEMP TABLE mart_anomaly_scores AS
SELECT reading_id, meter_id, reading_timestamp, reading_date_local, consumption_kwh::DECIMAL(18, 4) AS consumption_kwh,
    active_power_kw, expected_kwh::DECIMAL(18, 4) AS expected_kwh, anomaly_score, raw_score, is_anomaly,
    CASE WHEN is_anomaly THEN CASE
        WHEN consumption_kwh >= 1.5 * expected_kwh AND consumption_kwh > rolling_mean_kwh_24h THEN 'high_consumption'
        WHEN consumption_kwh <= 0.5 * expected_kwh AND consumption_kwh < rolling_mean_kwh_24h THEN 'low_consumption'
        ELSE 'unusual_pattern' END END AS anomaly_type,
    reasons
FROM scored
"""

FLAGS = """
CREATE TEMP TABLE mart_anomaly_flags AS
WITH days AS (
    SELECT meter_id, reading_date_local, count(*) AS reading_count, count_if(is_anomaly)::BIGINT AS flagged_count,
        sum(consumption_kwh) AS scored_kwh, max(anomaly_score) AS worst_score,
        arg_max(reading_timestamp, severity) AS worst_reading_timestamp,
        arg_max(reasons, severity) AS reasons,
        coalesce(sum(abs(consumption_kwh - expected_kwh)) FILTER (is_anomaly), 0) AS energy_at_stake_kwh,
        count_if(anomaly_type = 'high_consumption') AS high, count_if(anomaly_type = 'low_consumption') AS low,
        count_if(anomaly_type = 'unusual_pattern') AS unusual
    FROM (SELECT *, (anomaly_score, -epoch(reading_timestamp)) AS severity FROM mart_anomaly_scores
          SEMI JOIN (SELECT DISTINCT meter_id, reading_date_local FROM mart_anomaly_scores WHERE is_anomaly)
          USING (meter_id, reading_date_local))
    GROUP BY ALL
)
SELECT meter_id, region, feeder, reading_date_local, reading_count, flagged_count, scored_kwh, worst_score,
    worst_reading_timestamp,
    CASE greatest(high, low, unusual) WHEN high THEN 'high_consumption' WHEN low THEN 'low_consumption'
        ELSE 'unusual_pattern' END AS main_type,
    reasons, energy_at_stake_kwh
FROM days LEFT JOIN meters USING (meter_id)
"""

# name, first day of the period, of the one before, of the one a year before
PERIODS = (
    ("day", "reading_date_local", "start - 1", "(start - INTERVAL 1 YEAR)::DATE"),
    ("week", "date_trunc('week', reading_date_local)::DATE", "start - 7", "start - 364"),
    (
        "month",
        "date_trunc('month', reading_date_local)::DATE",
        "(start - INTERVAL 1 MONTH)::DATE",
        "(start - INTERVAL 1 YEAR)::DATE",
    ),
)

PERIOD = """
SELECT '{name}' AS period, {start} AS start, {previous} AS previous_start, {year_before} AS year_before_start, meter_id,
    round(sum(consumption_kwh), 8) AS consumption_kwh, max(peak_power_kw) AS peak_power_kw,
    arg_max(peak_hour_of_day, (peak_hour_kwh, -epoch(peak_hour_start))) AS peak_hour_of_day,
    sum(reading_count)::BIGINT AS reading_count, sum(expected_count)::BIGINT AS expected_count
FROM daily GROUP BY ALL
"""

METRICS = """
CREATE TEMP TABLE mart_consumption_metrics AS
WITH periods AS ({periods})
SELECT p.meter_id, region, feeder, p.period, p.start AS period_start_local,
    p.consumption_kwh::DECIMAL(18, 4) AS consumption_kwh, b.consumption_kwh::DECIMAL(18, 4) AS previous_kwh,
    (p.consumption_kwh / nullif(b.consumption_kwh, 0) - 1) * 100 AS change_pct,
    y.consumption_kwh::DECIMAL(18, 4) AS year_before_kwh,
    (p.consumption_kwh / nullif(y.consumption_kwh, 0) - 1) * 100 AS year_change_pct,
    p.peak_power_kw, p.peak_hour_of_day,
    CASE WHEN p.peak_power_kw > 0
        THEN p.consumption_kwh / (p.reading_count * 0.25) / p.peak_power_kw END AS load_factor,
    p.reading_count, p.expected_count, p.reading_count / p.expected_count AS completeness
FROM periods AS p
LEFT JOIN periods AS b ON b.meter_id = p.meter_id AND b.period = p.period AND b.start = p.previous_start
LEFT JOIN periods AS y ON y.meter_id = p.meter_id AND y.period = p.period AND y.start = p.year_before_start
LEFT JOIN meters ON meters.meter_id = p.meter_id
"""

PROFILE = """
CREATE TEMP TABLE mart_load_profile AS
WITH profile AS (
    SELECT meter_id, date_trunc('month', reading_date_local)::DATE AS month_local,
        CASE WHEN isodow(reading_date_local) >= 6 THEN 'weekend' ELSE 'weekday' END AS day_type, hour_of_day,
        round(sum(consumption_kwh), 8) AS energy, sum(reading_count) * 0.25::DOUBLE AS hours
    FROM hourly GROUP BY ALL
)
SELECT meter_id, region, feeder, month_local,
    ['winter', 'spring', 'summer', 'autumn'][1 + (month(month_local) % 12) // 3] AS season, day_type, hour_of_day,
    energy / hours AS mean_load_kw, energy::DECIMAL(18, 4) AS energy_kwh, hours
FROM profile LEFT JOIN meters USING (meter_id)
"""


def run(job: Job) -> None:
    con = duckdb.connect()
    con.execute(f"SET threads = {job.threads}; SET TimeZone = 'UTC'; SET preserve_insertion_order = false")

    with job.step("readings"):
        con.execute(LINES.format(columns=COLUMNS), {"files": [str(file) for file in job.files]})
        for query in (JUDGED, COMPARED, READINGS, REJECTED, METERS):
            con.execute(query)
        con.execute("DROP TABLE judged; DROP TABLE lines; DROP TABLE repeated")
        _keep(con, job, "readings", "rejected")
    with job.step("aggregates"):
        for query in (HOURLY, DAILY, MONTHLY):
            con.execute(query)
        _keep(con, job, "hourly", "daily", "monthly")
    with job.step("features"):
        con.execute(FEATURES)
        con.execute("DROP TABLE readings")
        _keep(con, job, "features")
    with job.step("scores"):
        _score(con, job)
        _keep(con, job, "mart_anomaly_scores")
    with job.step("marts"):
        periods = (dict(zip(("name", "start", "previous", "year_before"), period, strict=True)) for period in PERIODS)
        metrics = METRICS.format(periods=" UNION ALL ".join(PERIOD.format(**period) for period in periods))
        for query in (FLAGS, metrics, PROFILE):
            con.execute(query)
        _keep(con, job, "mart_anomaly_flags", "mart_consumption_metrics", "mart_load_profile")
    con.close()


def _keep(con: duckdb.DuckDBPyConnection, job: Job, *tables: str) -> None:
    for table in tables:
        con.execute(f"COPY {table} TO '{job.table(table)}' (FORMAT parquet)")


def _score(con: duckdb.DuckDBPyConnection, job: Job) -> None:
    batches = con.sql(TO_SCORE).to_arrow_reader(BLOCK)
    judged = pa.Table.from_batches(scored(batches, load(job.model), job.threads))
    con.register("scored", judged)
    con.execute(SCORES)
    con.unregister("scored")
