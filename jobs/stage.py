"""spark-submit door of the step `stage`: see `meterlake stage --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["stage", *sys.argv[1:]]))
