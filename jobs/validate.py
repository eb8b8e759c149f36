"""spark-submit door of the step `validate`: see `meterlake validate --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["validate", *sys.argv[1:]]))
