"""spark-submit door of `meterlake maintain`: see `meterlake maintain --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["maintain", *sys.argv[1:]]))
