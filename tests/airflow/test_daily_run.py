"""The daily DAG as `make airflow-day` runs it: every job by spark-submit on a standalone cluster, into both stores."""

from pathlib import Path

import pytest
from tests.airflow_run import DAILY, FIRST, METERS, Site
from tests.standalone import QUICK, standalone

pytest.importorskip("airflow.sdk", reason="Airflow is not installed")

READINGS = 60


@pytest.mark.airflow
def test_the_day_goes_from_its_files_to_both_stores(tmp_path: Path) -> None:
    with standalone(tmp_path / "spark", given=QUICK) as master:
        site = Site(tmp_path, master)
        site.deliver(FIRST, READINGS)
        code = site.day(FIRST)
    assert code == 0, site.log("airflow-day").read_text()[-4000:]
    assert site.states() == dict.fromkeys(DAILY, "success")
    assert site.run_state() == "success"
    for rows in site.published().values():
        assert rows["mart_anomaly_scores"] == len(METERS) * READINGS
        assert rows["mart_consumption_metrics"] > 0
