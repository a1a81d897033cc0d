"""Run `minigpt` as `python -m minigpt`."""

import sys

from minigpt.commands.cli import main

sys.exit(main())
