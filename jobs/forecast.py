"""spark-submit door of the step `forecast`: see `meterlake forecast --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["forecast", *sys.argv[1:]]))
