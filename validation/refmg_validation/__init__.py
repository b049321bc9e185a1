"""Checks, the paper's experiments and the command line of refmg."""
