"""The load of the day and the week to come, per region of the grid and feeder, when the daily run is through.

An own DAG: a forecast that fails must not hold back yesterday's figures. It starts an hour and a half after the daily
run; while that still holds the region's home, the forecast is told so and tried again.
"""

from airflow.sdk import DAG
from meterlake_jobs import RUN_ID, SOURCE, dag_options, for_each_region, job


def tasks() -> None:
    of_run = ("--source", SOURCE, "--run-id", RUN_ID)
    forecast = job("forecast", *of_run, makes=("mart_load_forecast",))
    forecast >> job("publish", *of_run)


with DAG(dag_id="energy_forecast_daily", schedule="30 7 * * *", **dag_options(__doc__)):
    for_each_region(tasks)
