"""spark-submit door of the step `check_source`: see `meterlake check_source --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["check_source", *sys.argv[1:]]))
