"""meterlake: meter files to clean readings, consumption, anomalies and marts, on Spark and Delta Lake."""

import os

__version__ = "0.1.0"

# PySpark forks to start its JVM, and a fork ends OpenBLAS's own threads: a product in another thread of ours would wait
# for them for ever (tests/test_session.py). Has to stand before NumPy is imported; no step multiplies large matrices.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
