"""mart_anomaly_scores: every known reading with its score, and why where it is flagged."""

from meterlake.anomaly.score import score as build

__all__ = ["build"]
