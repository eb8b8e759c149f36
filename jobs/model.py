"""spark-submit door of `meterlake model ACTION`: see `meterlake model --help` for its actions."""

import sys

from meterlake.cli import main

sys.exit(main(["model", *sys.argv[1:]]))
