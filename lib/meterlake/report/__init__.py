"""The report of a run: one self-contained HTML page."""

from meterlake.report.page import Summary, write_report

__all__ = ["Summary", "write_report"]
