"""A new anomaly model for every region, which becomes champion when the evaluation finds it no worse.

`train` fits a challenger; `promote` judges it beside the champion on the last year of the lake, and its log tells the
verdict. One that is less precise, or cannot be judged as the lake holds too little, leaves the champion: that is no
failure. The first model of a region has nobody to beat. By a new champion the next daily run scores all readings anew.
A failure may wait until the next week: the champion goes on scoring.
"""

from airflow.sdk import DAG
from meterlake_jobs import RUN_ID, SOURCE, dag_options, for_each_region, job


def tasks() -> None:
    train = job("train", "--source", SOURCE, "--run-id", RUN_ID, "--challenger")
    train >> job("model", "promote", "--source", SOURCE, "--if-no-worse", task_id="promote")


with DAG(dag_id="energy_training_weekly", schedule="0 3 * * 0", **dag_options(__doc__)):
    for_each_region(tasks)
