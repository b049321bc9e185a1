"""The checks of ``refmg verify``, by group."""
