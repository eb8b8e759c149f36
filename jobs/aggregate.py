"""spark-submit door of the step `aggregate`: see `meterlake aggregate --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["aggregate", *sys.argv[1:]]))
