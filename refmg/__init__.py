"""Learning across scales: stencils, layers and training moved between resolutions and depths.

E. Haber, L. Ruthotto, E. Holtham and S.-H. Jun, "Learning across scales - A multiscale method for
convolution neural networks", AAAI 2018.
"""

from refmg.activation import Activation, named_activation
from refmg.architecture import Architecture
from refmg.batches import Batch, Batches
from refmg.best_prolongation import BestProlongation
from refmg.calibration import Calibration, FewImagesWarning, SyntheticImages
from refmg.checkpoint import SavedNetwork, load_network, load_saved_network, save_network
from refmg.classifier import Classifier
from refmg.classifier_objective import ClassifierObjective
from refmg.classifier_point import ClassifierLine, ClassifierPoint
from refmg.constraint_jacobian import ConstraintJacobian, constraint_jacobian
from refmg.controls import Controls
from refmg.convolution import Convolution, convolution_matrix
from refmg.covariance import Covariance, PowerLaw, Spectrum
from refmg.derivatives import Derivative, derivatives, reproduced_degree
from refmg.evaluation import Evaluation
from refmg.exponent import fit_exponent
from refmg.galerkin import GalerkinReport, check_galerkin, coarse_operator
from refmg.grid import Grid
from refmg.integrators import named_integrator
from refmg.jacobian import jacobian
from refmg.joint_map import JointMap
from refmg.local_fourier import galerkin_symbol, stencil_symbol, symbol_error, transfer_symbols
from refmg.losses import named_loss
from refmg.matrix_map import MatrixMap
from refmg.model_file import ModelFile, read_model
from refmg.model_transfer import ResolutionChange, TensorRecord, TensorSelection, transfer_tensors
from refmg.network import Network, random_network
from refmg.network_transfer import network_transfer_names, transfer_network
from refmg.objective import ControlObjective, NetworkObjective
from refmg.parameter_move import ParameterMove
from refmg.predictive_map import PredictiveMap
from refmg.regularization import Regularization
from refmg.stability import LayerStability, StabilityReport, StabilityWarning, stability
from refmg.stencil_map import ClosureError, StencilMap, prolong_stencil, restrict_stencil
from refmg.stencil_maps import named_map, stencil_transfer_names
from refmg.time_grid import ControlGrid
from refmg.transfer import Taps, TransferPair, coarse_shape, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg.transfer_report import TransferReport, transfer_report
from refmg_backends import (
    BackendUnavailableError,
    RefmgError,
    UnknownBackendError,
    __version__,
    backend_names,
    get_backend,
)

__all__ = [
    "Activation",
    "Architecture",
    "BackendUnavailableError",
    "Batch",
    "Batches",
    "BestProlongation",
    "Calibration",
    "Classifier",
    "ClassifierLine",
    "ClassifierObjective",
    "ClassifierPoint",
    "ClosureError",
    "ConstraintJacobian",
    "ControlGrid",
    "ControlObjective",
    "Controls",
    "Convolution",
    "Covariance",
    "Derivative",
    "Evaluation",
    "FewImagesWarning",
    "GalerkinReport",
    "Grid",
    "JointMap",
    "LayerStability",
    "MatrixMap",
    "ModelFile",
    "Network",
    "NetworkObjective",
    "ParameterMove",
    "PowerLaw",
    "PredictiveMap",
    "RefmgError",
    "Regularization",
    "Spectrum",
    "ResolutionChange",
    "SavedNetwork",
    "StabilityReport",
    "StabilityWarning",
    "SyntheticImages",
    "StencilMap",
    "Taps",
    "TensorRecord",
    "TensorSelection",
    "TransferPair",
    "TransferReport",
    "UnknownBackendError",
    "__version__",
    "backend_names",
    "check_galerkin",
    "coarse_operator",
    "coarse_shape",
    "constraint_jacobian",
    "convolution_matrix",
    "derivatives",
    "fit_exponent",
    "galerkin_symbol",
    "get_backend",
    "jacobian",
    "load_network",
    "load_saved_network",
    "named_activation",
    "named_integrator",
    "named_loss",
    "named_map",
    "named_pair",
    "network_transfer_names",
    "prolong_stencil",
    "prolongation_matrix",
    "random_network",
    "read_model",
    "reproduced_degree",
    "restrict_stencil",
    "restriction_matrix",
    "save_network",
    "stability",
    "stencil_symbol",
    "stencil_transfer_names",
    "symbol_error",
    "transfer_network",
    "transfer_report",
    "transfer_symbols",
    "transfer_tensors",
]
