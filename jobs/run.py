"""spark-submit door of a whole run: see `meterlake run --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["run", *sys.argv[1:]]))
