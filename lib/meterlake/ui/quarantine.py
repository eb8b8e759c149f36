"""What was rejected, line by line with the rules that it broke, and the lines that do not parse.

A line's raw text is not shown: it may hold a customer's number. File and position lead to it.
"""

from typing import Any

from meterlake.quality.rules import EXACT_DUPLICATE
from meterlake.tables.reader import Lake
from meterlake.ui.asked import ROWS, Page


def by_reason(lake: Lake, source: str) -> dict[str, int]:
    """Lines by rule, the commonest first; a line that broke two counts for both. Exact duplicates are last."""
    found = lake.rows(
        "SELECT reason, count(*) AS lines FROM (SELECT unnest(reasons) AS reason FROM quarantined_readings "
        "WHERE source = :source) AS broken GROUP BY reason ORDER BY lines DESC, reason LIMIT 100",
        source=source,
    )
    ordered = sorted(found, key=lambda row: row["reason"] == EXACT_DUPLICATE)
    return {row["reason"]: row["lines"] for row in ordered}


def lines(lake: Lake, source: str, page: Page, reason: str, meter: str, file_id: int) -> list[dict[str, Any]]:
    """A page of the rejected lines in the order of delivery; one more than a page has, if any.

    Args:
        reason: only lines that broke this rule; "" for all but exact duplicates, which are no fault.
        meter: only of this meter; "" for all.
        file_id: only of this file; 0 for all.
    """
    return lake.rows(
        "SELECT meter_id, reading_timestamp, reading_date_local, consumption_kwh, reasons, source_file, file_id, "
        "line_order FROM quarantined_readings WHERE source = :source "
        "AND (array_has(reasons, :reason) OR (:reason = '' AND NOT array_has(reasons, :duplicate))) "
        "AND (:meter = '' OR meter_id = :meter) AND (:file = 0 OR file_id = :file) "
        "ORDER BY file_id, line_order LIMIT :most OFFSET :skip",
        source=source,
        reason=reason,
        duplicate=EXACT_DUPLICATE,
        meter=meter,
        file=file_id,
        most=ROWS + 1,
        skip=page.skip,
    )


def unparsable(lake: Lake, source: str, page: Page, file_id: int) -> list[dict[str, Any]]:
    """A page of the lines that do not parse in the order of delivery; one more than a page has, if any."""
    return lake.rows(
        "SELECT parse_error, source_file, file_id, line_order FROM meter_readings WHERE source = :source "
        "AND parse_error IS NOT NULL AND (:file = 0 OR file_id = :file) "
        "ORDER BY file_id, line_order LIMIT :most OFFSET :skip",
        source=source,
        file=file_id,
        most=ROWS + 1,
        skip=page.skip,
    )
