"""NEM12: the interval files of the Australian market (AEMO, Meter Data File Format Specification NEM12 & NEM13).

A meter is one channel of a connection point: `NMI:suffix`. The suffix says which way energy flows (AEMO, National
Metering Identifier Procedure): `E1` is taken from the grid, `B1` is fed into it. Both are positive numbers, and each is
a meter of its own.
"""

from meterlake.sources.source import NEM12_COLUMNS, Format, Limits, Source

NEM12 = Source(
    name="nem12",
    description="Australian interval files, 5 to 30 min, a meter per NMI and channel (AEMO NEM12)",
    # Features and scores look at half-hours: every length of the market sums up to them, nothing is cut into pieces.
    interval_minutes=30,
    # Market time is Eastern Standard Time all year: no day has 23 or 25 hours.
    time_zone="+10:00",
    columns=NEM12_COLUMNS,
    format=Format(layout="nem12", missing_is_declared=True),
    # Not only households: 30 minutes at 20 MW.
    limits=Limits(consumption_kwh=(0.0, 10_000.0)),
)
