"""Alerts: a batch with too many corrupted rows is told at once, also to a chat when a webhook is set."""

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime
from http.client import HTTPException

from pyspark.sql import Row

from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.ops import QUALITY_RESULTS

log = logging.getLogger("meterlake")

SUITE = "alerts"
TIMEOUT_SECONDS = 5


def corrupted_share(entry: Row) -> float:
    """Corrupted lines of a batch / its lines: those that do not parse and those that broke a rule.

    A line that repeats a reading, that a later file replaces, or that is about another quantity, is no corruption.

    Args:
        entry: a row of the ledger.
    """
    return (entry.unparsable + entry.quarantined - entry.other_quantity) / entry.lines if entry.lines else 0.0


def raise_alerts(entries: Iterable[Row], *, run_id: str, source: Source, settings: Settings) -> list[Row]:
    """Judge the share of corrupted lines of each batch; tell the webhook, in one message, which have too many.

    Args:
        entries: rows of the ledger, of the batches of this run.

    Returns:
        Rows of quality_results: one for each batch, of severity warning. The failed ones are the alerts, their
        `observed` is the sentence to show.
    """
    verdict, most = Row(*QUALITY_RESULTS.names), settings.quality.alert_share
    verdicts = []
    for entry in entries:
        expectation = f"At most {most:.2%} of the lines of batch {entry.batch_id} are corrupted"
        fine, said = corrupted_share(entry) <= most, sentence(entry)
        verdicts.append(verdict(run_id, source.name, SUITE, expectation, "warning", fine, said, datetime.now(UTC)))
    alerts = [row.observed for row in verdicts if not row.success]
    if alerts and settings.quality.webhook:
        deliver(" ".join(["meterlake:", *alerts, f"Run {run_id}."]), settings.quality.webhook)
    return verdicts


def sentence(entry: Row) -> str:
    """How much of a batch is corrupted, and why, in words."""
    return (
        f"{corrupted_share(entry):.2%} of the {entry.lines:,} lines of batch {entry.batch_id} of source {entry.source} "
        f"are corrupted: {entry.unparsable:,} do not parse, {entry.quarantined - entry.other_quantity:,} broke a rule."
    )


def deliver(text: str, webhook: str) -> bool:
    """POST `{"text": ...}` as Slack, Mattermost and Teams workflows take it; whether it was taken.

    A chat that does not answer never stops a run. The address is a secret and is not logged.
    """
    if not webhook.startswith(("http://", "https://")):
        log.warning("The webhook of [quality] is no http or https address; the alert was not sent.")
        return False
    try:
        request = urllib.request.Request(
            webhook, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        reason = f"it answered {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        reason = type(error).__name__
    log.warning("The alert did not reach the webhook of [quality] (%s); the run goes on.", reason)
    return False
