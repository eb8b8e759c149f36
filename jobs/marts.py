"""spark-submit door of the step `marts`: see `meterlake marts --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["marts", *sys.argv[1:]]))
