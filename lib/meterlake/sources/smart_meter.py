"""The Kaggle smart-meter set: one meter per file, half-hourly, weather and a label beside the reading."""

from meterlake.sources.source import Columns, Format, Source

SMART_METER = Source(
    name="smart_meter",
    description="Half-hourly smart meter with weather and labels, one meter per file (smart_meter_data.csv)",
    interval_minutes=30,
    # The file does not say its zone. Its clock has no gap and no double hour, so UTC loses nothing.
    time_zone="UTC",
    columns=Columns(
        timestamp="Timestamp",
        value="Electricity_Consumed",
        temperature="Temperature",
        humidity="Humidity",
        wind_speed="Wind_Speed",
        avg_past_consumption="Avg_Past_Consumption",
        anomaly_label="Anomaly_Label",
    ),
    format=Format(timestamp=("yyyy-MM-dd HH:mm:ss", "M/d/yyyy H:mm")),
)
