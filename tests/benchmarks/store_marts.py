"""The marts of a benchmark of the stores as queries in ClickHouse: 20 feeders in 4 regions, 5 transformers on each.

Values come from hashes of a row's number, so they are the same every time. `anomaly_scores` is an hour of a meter; the
other marts are sums of it, and read those before them.
"""

from string import Template

DATABASE = "energy_analytics"
SOURCE = "ami"
FIRST_DAY = "2023-11-01"

# Where a meter hangs, by its number, which its name ends with.
NUMBER = "toUInt32(substring(meter_id, 7))"
REGION = f"concat('region-', toString({NUMBER} % 4))"
FEEDER = f"concat('feeder-', toString({NUMBER} % 20))"
TRANSFORMER = f"concat('transformer-', toString({NUMBER} % 100))"


def selects(meters: int, days: int) -> dict[str, str]:
    """Mart -> the query that makes its rows, in the order in which they can be asked."""
    values = {"db": DATABASE, "source": SOURCE, "first": FIRST_DAY, "days": days, "hours": days * 24}
    values |= {"rows": meters * days * 24, "region": REGION, "feeder": FEEDER, "transformer": TRANSFORMER}
    return {name: Template(text).substitute(values) for name, text in ROWS.items()}


SCORES = """
WITH
  intDiv(number, $hours) AS meter,
  number % $hours AS hour,
  toDateTime('$first 00:00:00', 'UTC') + 3600 * hour AS began,
  cityHash64(number) / 18446744073709551616. AS u,
  cityHash64(number, 1) / 18446744073709551616. AS score_u,
  0.3 + (cityHash64(meter) % 100) / 50 AS size,
  1 + 0.3 * cos(6.2832 * dateDiff('day', toDate('$first'), toDate(began)) / 365) AS season,
  size * season * (0.2 + exp(-pow((toHour(began) - 19) / 4, 2)) + 0.4 * exp(-pow((toHour(began) - 7) / 2, 2))) AS usual,
  score_u > 0.99 AS flagged
SELECT
  concat('$source:', meter_id, ':', toString(toUnixTimestamp(began))) AS reading_id,
  '$source' AS source,
  concat('meter-', leftPad(toString(meter), 5, '0')) AS meter_id,
  began AS reading_timestamp,
  toDate(began) AS reading_date_local,
  toDecimal64(usual * (0.5 + u), 4) AS consumption_kwh,
  toFloat64(consumption_kwh) AS active_power_kw,
  if(hour < 24, NULL, toDecimal64(usual, 4)) AS expected_kwh,
  if(flagged, 0.6 + 40 * (score_u - 0.99), 0.6 * score_u) AS anomaly_score,
  0.4 + 0.3 * score_u AS raw_score,
  flagged AS is_anomaly,
  if(flagged, ['high_consumption', 'low_consumption', 'unusual_pattern'][1 + number % 3], NULL) AS anomaly_type,
  if(flagged, concat('consumption is ', toString(round(0.5 + u, 2)), ' times the usual'), NULL) AS reasons,
  'meterlake-$source v1' AS model_version,
  toDateTime('2025-01-01 06:00:00', 'UTC') AS scored_at
FROM numbers($rows)
"""

METRICS = """
SELECT
  source, meter_id, $region AS region, $feeder AS feeder, period, period_start_local, consumption_kwh,
  nullIf(lagInFrame(consumption_kwh) OVER before, 0) AS previous_kwh,
  if(previous_kwh IS NULL, NULL, 100 * (toFloat64(consumption_kwh) / toFloat64(previous_kwh) - 1)) AS change_pct,
  NULL AS year_before_kwh, NULL AS year_change_pct,
  peak_power_kw, peak_hour_of_day,
  toFloat64(consumption_kwh) / expected_count / peak_power_kw AS load_factor,
  reading_count, expected_count, reading_count / expected_count AS completeness,
  (cityHash64(meter_id, period_start_local) % 20 = 0) * 0.125 AS estimated_share, 0 AS edited_share,
  if(estimated_share > 0, 'estimated', 'measured') AS quality
FROM (
  SELECT
    source, meter_id, kind.1 AS period, kind.2 AS period_start_local, sum(kwh) AS consumption_kwh,
    max(peak_kw) AS peak_power_kw, argMax(peak_hour, peak_kw) AS peak_hour_of_day,
    sum(known) AS reading_count, count() * 24 AS expected_count
  FROM (
    SELECT
      source, meter_id, reading_date_local AS day, sum(consumption_kwh) AS kwh, max(active_power_kw) AS peak_kw,
      argMax(toHour(reading_timestamp), active_power_kw) AS peak_hour, count() AS known
    FROM $db.anomaly_scores
    WHERE cityHash64(reading_id) % 100 > 0
    GROUP BY source, meter_id, day
  )
  ARRAY JOIN [('day', day), ('week', toMonday(day)), ('month', toStartOfMonth(day))] AS kind
  GROUP BY source, meter_id, period, period_start_local
)
WINDOW before AS (PARTITION BY meter_id, period ORDER BY period_start_local)
"""

FLAGS = """
SELECT
  source, meter_id, $region AS region, $feeder AS feeder, reading_date_local,
  count() AS reading_count, countIf(is_anomaly) AS flagged_count, sum(consumption_kwh) AS scored_kwh,
  max(anomaly_score) AS worst_score,
  argMax(reading_timestamp, anomaly_score) AS worst_reading_timestamp,
  argMax(anomaly_type, anomaly_score) AS main_type, argMax(reasons, anomaly_score) AS reasons,
  sumIf(abs(consumption_kwh - expected_kwh), is_anomaly) AS energy_at_stake_kwh,
  'reading' AS evidence, 0.01 AS confidence, reasons AS why
FROM $db.anomaly_scores
GROUP BY source, meter_id, reading_date_local
HAVING flagged_count > 0
"""

# One meter-day of a thousand.
INSPECTIONS = """
SELECT
  source, meter_id, region, feeder, period_start_local AS reading_date_local,
  0.6 + cityHash64(meter_id, period_start_local) % 1000 / 2600 AS day_score, 30 * day_score AS surprise,
  consumption_kwh, toDecimal64(consumption_kwh * 1.4, 4) AS usual_kwh,
  'used 29 % less than its usual day' AS reasons, 'meterlake-$source v1' AS model_version
FROM $db.consumption_metrics
WHERE period = 'day' AND cityHash64(meter_id, period_start_local, 1) % 1000 = 0
"""

PROFILE = """
SELECT
  source, meter_id, $region AS region, $feeder AS feeder, month_local,
  ['winter', 'spring', 'summer', 'autumn'][1 + intDiv(toMonth(month_local) % 12, 3)] AS season,
  day_type, hour_of_day, toFloat64(energy_kwh) / hours AS mean_load_kw, energy_kwh, hours
FROM (
  SELECT
    source, meter_id, toStartOfMonth(reading_date_local) AS month_local,
    if(toDayOfWeek(reading_date_local) > 5, 'weekend', 'weekday') AS day_type,
    toHour(reading_timestamp) AS hour_of_day, sum(consumption_kwh) AS energy_kwh, toFloat64(count()) AS hours
  FROM $db.anomaly_scores
  GROUP BY source, meter_id, month_local, day_type, hour_of_day
)
"""

WEEKLY_PROFILE = """
SELECT
  source, region, feeder, month_local, weekday, hour_of_day, meters,
  toFloat64(energy_kwh) / hours AS mean_load_kw, energy_kwh, hours
FROM (
  SELECT
    source, $region AS region, $feeder AS feeder, toStartOfMonth(reading_date_local) AS month_local,
    toDayOfWeek(reading_date_local) AS weekday, toHour(reading_timestamp) AS hour_of_day,
    uniqExact(meter_id) AS meters, sum(consumption_kwh) AS energy_kwh, toFloat64(count()) AS hours
  FROM $db.anomaly_scores
  GROUP BY source, region, feeder, month_local, weekday, hour_of_day
)
"""

# One element-day of twenty has no balance.
BALANCE = """
SELECT
  source, level, element, region, feeder, reading_date_local,
  if(balanced, toDecimal64(delivered * (1.04 + cityHash64(element) % 8 / 100), 4), NULL) AS supplied_kwh,
  delivered AS delivered_kwh,
  if(balanced, toDecimal64(0, 4), NULL) AS missing_kwh,
  if(balanced, toDecimal64(delivered * 0.03, 4), NULL) AS technical_loss_kwh,
  supplied_kwh - delivered_kwh - missing_kwh - technical_loss_kwh AS non_technical_loss_kwh,
  if(balanced, toFloat64(supplied_kwh - delivered_kwh) / toFloat64(supplied_kwh), NULL) AS loss_share,
  if(balanced, toFloat64(non_technical_loss_kwh) / toFloat64(supplied_kwh), NULL) AS non_technical_share,
  customers, coverage, if(balanced, 'balanced', 'supply_incomplete') AS status
FROM (
  SELECT
    source, place.1 AS level, place.2 AS element, $region AS region,
    if(level = 'region', NULL, $feeder) AS feeder, period_start_local AS reading_date_local,
    sum(consumption_kwh) AS delivered, count() AS customers, sum(reading_count) / sum(expected_count) AS coverage,
    cityHash64(element, reading_date_local) % 20 > 0 AS balanced
  FROM $db.consumption_metrics
  ARRAY JOIN [('region', $region), ('feeder', $feeder), ('transformer', $transformer)] AS place
  WHERE period = 'day'
  GROUP BY source, level, element, region, feeder, reading_date_local
)
"""

# One meter-month of ten falls short.
SUSPECTS = """
SELECT
  source, meter_id, region, feeder, $transformer AS transformer, period_start_local AS month_local,
  period_start_local + 9 AS since_local, consumption_kwh,
  toDecimal64(consumption_kwh * 1.4, 4) AS reference_kwh, reference_kwh - consumption_kwh AS shortfall_kwh,
  2 + cityHash64(meter_id, month_local) % 100 / 20 AS standard_errors, transformer AS balanced_by,
  toDecimal64(shortfall_kwh * 0.5, 4) AS confirmed_kwh, 0.5 AS probability,
  toDecimal64(shortfall_kwh * 0.5, 4) AS recoverable_kwh,
  concat('40 % below the usual, ', transformer, ' misses half of it') AS reason
FROM $db.consumption_metrics
WHERE period = 'month' AND cityHash64(meter_id, period_start_local) % 10 = 0
"""

REGIONS = """
SELECT
  source, element AS region, toStartOfMonth(reading_date_local) AS month_local, count() AS days,
  countIf(status = 'balanced') AS days_balanced, sum(supplied_kwh) AS delivered_kwh,
  sumIf(b.delivered_kwh, status = 'balanced') AS billed_kwh, sum(b.missing_kwh) AS missing_kwh,
  sum(b.technical_loss_kwh) AS technical_loss_kwh, sum(b.non_technical_loss_kwh) AS non_technical_loss_kwh,
  toFloat64(delivered_kwh - billed_kwh - missing_kwh) / toFloat64(delivered_kwh) AS loss_share,
  toDecimal64(non_technical_loss_kwh * 0.3, 4) AS non_technical_loss_cost, 'EUR' AS currency,
  max(customers) AS meters, max(customers) AS meters_online, avg(coverage) AS completeness
FROM $db.energy_balance AS b
WHERE level = 'region'
GROUP BY source, element, month_local
"""

# The hours of the night are a fifth of the energy.
LOAD_FACTORS = """
SELECT
  source, level, element, region, month_local, part.1 AS band, meters, toInt64(part.2 * whole) AS hours,
  hours AS hours_known, 1. AS completeness, toDecimal64(kwh * part.3, 4) AS energy_kwh, part.3 AS energy_share,
  toFloat64(energy_kwh) / hours AS mean_load_kw, mean_load_kw * 1.8 AS peak_load_kw,
  toDateTime(month_local + 9, 'UTC') + 3600 * 19 AS peak_hour_start,
  mean_load_kw * 1.7 AS capacity_kw, mean_load_kw / peak_load_kw AS load_factor,
  NULL AS year_before_load_kw, NULL AS growth_pct
FROM (
  SELECT
    source, place.1 AS level, place.2 AS element, if(level = 'source', NULL, any(m.region)) AS region,
    period_start_local AS month_local, uniqExact(meter_id) AS meters, any(expected_count) AS whole,
    sum(consumption_kwh) AS kwh
  FROM $db.consumption_metrics AS m
  ARRAY JOIN [('source', source), ('region', $region), ('feeder', $feeder)] AS place
  WHERE period = 'month'
  GROUP BY source, place, month_local
)
ARRAY JOIN [('all', 1., 1.), ('off_peak', 0.5, 0.2), ('peak', 0.5, 0.8)] AS part
"""

# The forecasts of the last 30 days, a week ahead each, of the source, its regions and its feeders.
FORECAST = """
WITH
  intDiv(number, 30 * 168) AS which,
  intDiv(number, 168) % 30 AS ago,
  toDateTime(toDate('$first') + $days - ago, 'UTC') AS origin
SELECT
  '$source' AS source, multiIf(which = 0, 'source', which < 5, 'region', 'feeder') AS level,
  multiIf(which = 0, '$source', which < 5, concat('region-', toString(which - 1)),
    concat('feeder-', toString(which - 5))) AS element,
  origin AS forecast_origin, origin + 3600 * (number % 168) AS target_hour, toDate(target_hour) AS target_date_local,
  1 + number % 168 AS horizon_h, toDecimal64(load_p50_kwh * 0.8, 4) AS load_p10_kwh,
  toDecimal64(50 + 950 * cityHash64(number) / 18446744073709551616., 4) AS load_p50_kwh,
  toDecimal64(load_p50_kwh * 1.2, 4) AS load_p90_kwh, 'load-$source v1' AS model_version, origin AS made_at
FROM numbers(25 * 30 * 168)
"""

# An interruption of each transformer in each week, 40 minutes to 4 hours long.
OUTAGES = """
SELECT
  source, 'transformer' AS kind, element, region, feeder, element AS transformer,
  toDate(from_timestamp) AS reading_date_local,
  toDateTime(min(b.reading_date_local), 'UTC') + 60 * (cityHash64(element, week) % 1200) AS from_timestamp,
  from_timestamp + 60 * minutes AS to_timestamp, toInt64(40 + cityHash64(week, element) % 200) AS minutes,
  'voltage' AS evidence, max(customers) AS meters, meters AS meters_interrupted, meters AS meters_dead,
  toInt64(0) AS meters_zero, toInt64(0) AS meters_silent, meters AS customers_interrupted,
  meters * minutes AS customer_minutes
FROM $db.energy_balance AS b
WHERE level = 'transformer'
GROUP BY source, element, region, feeder, toMonday(b.reading_date_local) AS week
"""

RELIABILITY = """
SELECT
  source, place.1 AS level, place.2 AS element, if(level = 'source', NULL, any(o.region)) AS region,
  toStartOfMonth(reading_date_local) AS month_local, toInt64(sum(o.meters)) AS meters,
  toInt64(count()) AS interruptions, toInt64(sum(o.customers_interrupted)) AS customers_interrupted,
  toInt64(sum(o.customer_minutes)) AS customer_minutes,
  customer_minutes / meters AS saidi_minutes, customers_interrupted / meters AS saifi,
  customer_minutes / customers_interrupted AS caidi_minutes, toInt64(0) AS silent_minutes
FROM $db.feeder_outages AS o
ARRAY JOIN [('source', source), ('region', assumeNotNull(o.region)), ('feeder', assumeNotNull(o.feeder))] AS place
GROUP BY source, place, month_local
"""

ROWS = {
    "mart_anomaly_scores": SCORES,
    "mart_consumption_metrics": METRICS,
    "mart_anomaly_flags": FLAGS,
    "mart_inspections": INSPECTIONS,
    "mart_load_profile": PROFILE,
    "mart_weekly_load_profile": WEEKLY_PROFILE,
    "mart_energy_balance": BALANCE,
    "mart_suspects": SUSPECTS,
    "mart_region_kpis": REGIONS,
    "mart_load_factors": LOAD_FACTORS,
    "mart_load_forecast": FORECAST,
    "mart_feeder_outages": OUTAGES,
    "mart_reliability": RELIABILITY,
}
