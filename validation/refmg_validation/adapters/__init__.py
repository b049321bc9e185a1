"""Implementations that the conformance suite can be run against: refmg's backends and PyTorch."""
