"""Small files are merged and files of versions older than a week deleted, for every region. No row changes.

A failure may wait: the next week's run does the work of both.
"""

from airflow.sdk import DAG
from meterlake_jobs import dag_options, for_each_region, job

with DAG(dag_id="energy_maintenance", schedule="0 2 * * 6", **dag_options(__doc__)):
    for_each_region(lambda: job("maintain"))
