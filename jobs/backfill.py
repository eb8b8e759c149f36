"""spark-submit door of a backfill: see `meterlake backfill --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["backfill", *sys.argv[1:]]))
