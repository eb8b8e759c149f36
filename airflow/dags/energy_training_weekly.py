"""A new anomaly model for every region; the daily run scores by it from then on, all readings anew on its first day."""

from datetime import datetime

from airflow.sdk import DAG, task_group
from meterlake_jobs import RUN_ID, SOURCE, dag_options, job, regions

with DAG(
    dag_id="energy_training_weekly", schedule="0 3 * * 0", start_date=datetime(2024, 1, 1), **dag_options(__doc__)
):

    @task_group
    def region(name: str) -> None:
        job("train", "--source", SOURCE, "--run-id", RUN_ID)

    region.expand(name=[one["name"] for one in regions()])
