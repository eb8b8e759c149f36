"""meterlake: meter files to clean readings, consumption, anomalies and marts, on Spark and Delta Lake."""

__version__ = "0.1.0"
