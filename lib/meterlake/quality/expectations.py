"""The suites of the three gates. Each expectation has a severity and says in words what must hold.

A critical one that fails stops the run before anything is published; a warning is told and kept. What is judged are
the facts of quality/profile.py and quality/profile_marts.py: a fact such as `repeated_intervals` counts what must not
be there, so most expectations want 0.

Great Expectations takes seconds to import: import this module only where a gate runs.
"""

from collections.abc import Callable

from great_expectations.expectations import ExpectColumnValuesToBeBetween
from great_expectations.expectations.metadata_types import FailureSeverity

from meterlake.settings import Settings
from meterlake.sources.source import Source

CRITICAL, WARNING = "critical", "warning"

COMPLETENESS_FLOOR = 0.95
FLAGGED_SHARE = (0.005, 0.02)
HALF = 0.5  # a delivery of which half does not fit is not what its source declares

Suite = Callable[[Source, Settings], list[ExpectColumnValuesToBeBetween]]


def columns() -> list[ExpectColumnValuesToBeBetween]:
    """Part of each suite: the tables are what they are declared to be."""
    return [
        none("column_absent", "Every declared column exists"),
        none("column_of_another_type", "Every column has its declared type"),
    ]


def raw_readings(source: Source, settings: Settings) -> list[ExpectColumnValuesToBeBetween]:
    """Bronze: is the delivery what its source declares, and can each line be traced to its file?"""
    most = settings.quality.alert_share
    return [
        *columns(),
        none("without_origin", "Every line names its source, file, position, batch and time of reading"),
        none("unexplained", "A line is kept as raw text with a reason exactly when it does not parse"),
        between("unparsable_share", 0, HALF, "At least half of the lines parse"),
        between("stamp_share", HALF, 1, "At least half of the parsed lines have a time stamp"),
        between("meter_share", HALF, 1, "At least half of the parsed lines name their meter"),
        between("value_share", HALF, 1, "At least half of the parsed lines have a value"),
        between("unparsable_share_of_file", 0, most, f"At most {most:.1%} of a file's lines do not parse", WARNING),
        none("not_finite", "Every value is a finite number", WARNING),
        none("long_past", "No time stamp lies before 1990", WARNING),
        none("in_future", "No time stamp lies more than a day after it was read", WARNING),
    ]


def staging_readings(source: Source, settings: Settings) -> list[ExpectColumnValuesToBeBetween]:
    """Silver: does every current reading keep the rules, and is there one for each interval?"""
    limits, share = source.limits, settings.quality.alert_share
    return [
        *columns(),
        none("without_required", "No required column is null"),
        none("ids_of_another", "Every reading_id spells the source, meter and interval of its reading"),
        none("repeated_intervals", "Every reading_id is unique: one reading per meter and interval"),
        none("energy_out_of_range", f"Energy of an interval is {_words(limits.consumption_kwh)} kWh"),
        none("voltage_out_of_range", f"Voltage is {_words(limits.voltage_v)} V"),
        none("temperature_out_of_range", f"Temperature is {_words(limits.temperature_c)} C"),
        none("humidity_out_of_range", f"Humidity is {_words(limits.humidity_pct)} %"),
        none("power_not_of_energy", "Mean power is the energy divided by the interval"),
        none("power_without_energy", "Power is known exactly when energy is"),
        none("missing_unlike_null", "Quality is missing exactly when no energy is known"),
        none("unknown_quality", "Quality is measured, estimated, edited or missing"),
        none("other_interval", f"Every interval lasts {'a multiple of ' * source.varies}{source.grid_minutes} min"),
        none("off_the_clock", "Hours are 0 to 23 and weekdays 1 to 7"),
        none("on_another_day", f"The local day is that of the clock in {source.time_zone}"),
        none("label_unlike_text", "The label's flag says what its text says"),
        between("hours_ahead_of_now", None, 0, "No reading lies in the future"),
        between("rejected_share", 0, HALF, "At least half of the lines of a batch keep the row rules"),
        between("rejected_share", 0, share, f"At most {share:.1%} of the lines of a batch are rejected", WARNING),
    ]


def marts_metrics(source: Source, settings: Settings) -> list[ExpectColumnValuesToBeBetween]:
    """Gold: do days, weeks, months, scores and flags agree with each other and with silver?"""
    low, high = FLAGGED_SHARE
    floor, threshold = COMPLETENESS_FLOOR, settings.model.threshold
    return [
        *columns(),
        none("days_unlike_readings", "Days hold the energy and number of silver's readings"),
        none("days_unlike_hours", "The hours of a day sum to the day"),
        none("months_unlike_days", "The days of a month sum to the month"),
        none("days_unlike_mart", "The metrics of a day agree with silver"),
        none("weeks_unlike_mart", "The metrics of a week are the sum of its days"),
        none("months_unlike_mart", "The metrics of a month are the sum of its days"),
        none("profiles_unlike_days", "The load profile of a month holds the energy of its days"),
        none("weekly_profiles_unlike_days", "The weekly load profiles of a month hold the energy of its days"),
        none("load_factors_out_of_range", "Load factors are at most 1"),
        none("readings_without_score", "Every metered reading has one score"),
        none("scores_unlike_readings", "Scored readings hold the energy of silver's metered readings"),
        none("scores_out_of_range", "Scores are 0 to 1"),
        none("flags_unlike_threshold", f"A reading is flagged exactly when its score is above {threshold:g}"),
        none("types_unlike_flags", "A reading has a known anomaly type exactly when it is flagged"),
        none("flags_unlike_scores", "The flags of a day count its flagged readings and hold its worst score"),
        none("more_readings_than_intervals", "No period has more readings than intervals", WARNING),
        between("completeness", floor, None, f"At least {floor:.0%} of the expected readings are there", WARNING),
        between("flagged_share", low, high, f"Between {low:.1%} and {high:.1%} of the readings are flagged", WARNING),
    ]


SUITES: dict[str, Suite] = {suite.__name__: suite for suite in (raw_readings, staging_readings, marts_metrics)}


def between(
    fact: str, low: float | None, high: float | None, words: str, severity: str = CRITICAL
) -> ExpectColumnValuesToBeBetween:
    """The fact lies between two values, both included, for every subject that has it."""
    return ExpectColumnValuesToBeBetween(
        column=fact, min_value=low, max_value=high, severity=FailureSeverity(severity), description=words
    )


def none(fact: str, words: str, severity: str = CRITICAL) -> ExpectColumnValuesToBeBetween:
    """The fact counts what must not be there."""
    return between(fact, 0, 0, words, severity)


def _words(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"
