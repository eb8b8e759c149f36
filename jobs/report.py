"""spark-submit door of the step `report`: see `meterlake report --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["report", *sys.argv[1:]]))
