"""Let `python -m minigpt` do what `minigpt` does."""

import sys

from minigpt.commands.cli import main

sys.exit(main())
