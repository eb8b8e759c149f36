"""spark-submit door of the step `publish`: see `meterlake publish --help` for its options."""

import sys

from meterlake.cli import main

sys.exit(main(["publish", *sys.argv[1:]]))
