"""The day before, from its files to the stores and the report, for every region by itself.

Each task is a spark-submit of a file of jobs/ and may be cleared at any time: what is done already is found
and left alone. A gate (`validate_*`) that fails stops the region before it publishes: look at the report and the Data
Docs of its home, correct the source or release the lines (docs/runbook.md), then clear the gate. `check_source` fails
while the day's files are not there; its retries wait for them. A failure of `report` alone may wait until the next day.
"""

from datetime import timedelta

from airflow.sdk import DAG, chain
from meterlake_jobs import DAY, INPUT, RUN_ID, SOURCE, dag_options, deadline, for_each_region, job

OF_RUN = ("--source", SOURCE, "--run-id", RUN_ID)
OF_DELIVERY = (*OF_RUN, "--input", INPUT, "--from", DAY, "--to", DAY)


def day() -> None:
    """The tasks of one region, one after the other."""
    chain(
        job("check_source", *OF_DELIVERY, retries=6, retry_delay=timedelta(minutes=10)),
        job("ingest", *OF_DELIVERY, makes=("meter_readings",)),
        job("validate", *OF_RUN, "--suite", "raw_readings", task_id="validate_raw"),
        job("stage", *OF_RUN, makes=("stg_meter_readings", "quarantined_readings")),
        job("vee", *OF_RUN, makes=("vee_findings",)),
        job("validate", *OF_RUN, "--suite", "staging_readings", task_id="validate_staging"),
        job("aggregate", *OF_RUN, makes=("int_readings_hourly", "int_readings_daily", "int_readings_monthly")),
        job("train", *OF_RUN, "--if-none", task_id="train_first_model"),
        job("score", *OF_RUN, makes=("mart_anomaly_scores",)),
        job("marts", *OF_RUN, makes=("mart_consumption_metrics", "mart_anomaly_flags", "mart_load_profile")),
        job("validate", *OF_RUN, "--suite", "marts_metrics", task_id="validate_marts"),
        job("publish", *OF_RUN),
        job("report", *OF_RUN),
    )


with DAG(
    dag_id="energy_pipeline_daily",
    schedule="0 6 * * *",
    dagrun_timeout=timedelta(hours=6),
    deadline=deadline(),
    **dag_options(__doc__),
):
    for_each_region(day)
