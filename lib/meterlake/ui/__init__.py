"""Local web pages over a home: meters, readings, anomalies, quarantine and lineage. They read and never write."""
