"""spark-submit door of the step `score`: see `meterlake score --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["score", *sys.argv[1:]]))
