"""spark-submit door of the step `vee`: see `meterlake vee --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["vee", *sys.argv[1:]]))
