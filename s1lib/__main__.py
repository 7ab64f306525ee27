"""`python -m s1lib` is the command `s1`."""

import sys

from s1lib.command.cli import main

sys.exit(main())
