"""What Prometheus is told of a home: its runs, lake, stores and machine. Read without Spark; nothing is written."""
