"""``python -m refmg_validation`` is the command ``refmg``."""

import sys

from refmg_validation.cli import main

sys.exit(main())
