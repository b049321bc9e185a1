"""Moving a network by least squares on its features: unlabelled images, no training."""

from refmg.calibration.few_images import FewImagesWarning
from refmg.calibration.network_fit import calibrated_network, check_control_times
from refmg.calibration.settings import Calibration
from refmg.calibration.stencil_fit import StencilFit, tap_operators
from refmg.calibration.synthetic import SyntheticImages

__all__ = [
    "Calibration",
    "FewImagesWarning",
    "StencilFit",
    "SyntheticImages",
    "calibrated_network",
    "check_control_times",
    "tap_operators",
]
