"""A period of one region computed again from bronze, month by month: after an adapter or a rule was corrected.

Triggered by hand with `first`, `last`, `reason` and the region's name in conf/regions.toml. It is `meterlake backfill`:
rehearse it there with --dry-run first. A month that failed is cleared by itself; months that are
done are found done.
"""

from datetime import date, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from meterlake_jobs import REGIONS, by_name, dag_options, job_for_each

with DAG(
    dag_id="energy_backfill",
    schedule=None,
    params={
        "first": Param("2024-01-01", type="string", format="date"),
        "last": Param("2024-01-31", type="string", format="date"),
        "reason": Param("", type="string", minLength=3),
        "region": Param(REGIONS[0]["name"], enum=[region["name"] for region in REGIONS]),
    },
    **dag_options(__doc__),
):

    @task
    def months(params: dict[str, Any] | None = None) -> list[list[str]]:
        """The arguments of the job for each month of the period, the first and last one cut to it."""
        assert params is not None
        region = by_name(params["region"])
        first, last = date.fromisoformat(params["first"]), date.fromisoformat(params["last"])
        if last < first:
            raise ValueError(f"The period ends on {last}, before it begins on {first}; trigger again with other dates.")
        found = []
        while first <= last:
            next_month = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
            end = min(next_month - timedelta(days=1), last)
            period = ["--from", str(first), "--to", str(end), "--reason", params["reason"], "--by", "airflow"]
            conf = ["--conf", region["conf"]] if region["conf"] else []
            found.append(["--source", region["source"], *period, "--home", region["home"], *conf])
            first = next_month
        return found

    job_for_each("backfill", months())
