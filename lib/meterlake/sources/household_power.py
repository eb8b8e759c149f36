"""UCI individual household power: one house in Sceaux, one-minute mean power, December 2006 to November 2010."""

from meterlake.sources.source import Columns, Format, Limits, Source, Units

HOUSEHOLD_POWER = Source(
    name="household_power",
    description="One household by the minute (UCI household_power_consumption.txt)",
    interval_minutes=1,
    # The clock runs straight through the changes of summer time (2007-03-25 02:00 exists, no hour comes twice):
    # it is French winter time all year.
    time_zone="+01:00",
    country="FR",
    columns=Columns(
        timestamp=("Date", "Time"),
        value="Global_active_power",
        voltage="Voltage",
        sub_metering_1="Sub_metering_1",
        sub_metering_2="Sub_metering_2",
        sub_metering_3="Sub_metering_3",
    ),
    format=Format(separator=";", timestamp=("d/M/yyyy H:mm:ss",), null_marks=("?",), missing_is_declared=True),
    units=Units(value="kW", sub_metering="Wh"),
    # A voltage far below nominal is an outage or a dip; the minute's energy is metered all the same.
    limits=Limits(voltage_v=(0.0, 276.0)),
)
