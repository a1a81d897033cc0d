"""Let `python -m minigpt` do what `minigpt` does."""

import sys

from minigpt.cli import main

sys.exit(main())
