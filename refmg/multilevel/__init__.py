"""Training over many levels: coarse to fine, shallow to deep, and both at once."""

from refmg.multilevel.depth_change import change_depth, deeper, prolong_in_time
from refmg.multilevel.descent import evaluate, moved_to, multilevel_descent
from refmg.multilevel.images import ImagePyramid
from refmg.multilevel.level import Level, architectures
from refmg.multilevel.position import LevelIteration, Position
from refmg.multilevel.switch import LevelSwitch, Scores, StencilNorm, SwitchPart, stencil_norms
from refmg.multilevel.time_matrix import time_matrix

__all__ = [
    "ImagePyramid",
    "Level",
    "LevelIteration",
    "LevelSwitch",
    "Position",
    "Scores",
    "StencilNorm",
    "SwitchPart",
    "architectures",
    "change_depth",
    "deeper",
    "evaluate",
    "moved_to",
    "multilevel_descent",
    "prolong_in_time",
    "stencil_norms",
    "time_matrix",
]
