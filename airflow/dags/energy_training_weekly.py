"""A new anomaly model for every region; the daily run scores by it from then on, all readings anew on its first day."""

from datetime import datetime

from airflow.sdk import DAG
from meterlake_jobs import RUN_ID, SOURCE, dag_options, for_each_region, job

with DAG(
    dag_id="energy_training_weekly", schedule="0 3 * * 0", start_date=datetime(2024, 1, 1), **dag_options(__doc__)
):
    for_each_region(lambda: job("train", "--source", SOURCE, "--run-id", RUN_ID))
