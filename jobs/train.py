"""spark-submit door of the step `train`: see `meterlake train --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
