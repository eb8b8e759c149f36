"""spark-submit door of the step `ingest`: see `meterlake ingest --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["ingest", *sys.argv[1:]]))
