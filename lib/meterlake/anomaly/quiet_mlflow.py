"""MLflow, imported after it was told to be quiet: it asks its environment when it is imported, and never again."""

import os

# It tells nobody, keeps quiet, and gives up on a server within a minute instead of after many.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

import mlflow  # noqa: E402

__all__ = ["mlflow"]
