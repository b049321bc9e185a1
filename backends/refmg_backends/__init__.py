"""Array backends of refmg: an array-API namespace and the few kernels that differ between machines."""

from refmg_backends._version import __version__
from refmg_backends.activation import Activation
from refmg_backends.array_backend import ArrayBackend
from refmg_backends.backend import (
    Backend,
    ConvolutionKernel,
    FixedFeatures,
    ResidualNetwork,
    ResidualParameters,
)
from refmg_backends.capabilities import capabilities
from refmg_backends.curvature import Curvature, diagonal_curvature
from refmg_backends.environment import VARIABLES, check_environment, default_dtype
from refmg_backends.errors import BackendUnavailableError, RefmgError, UnknownBackendError, one_of
from refmg_backends.geometry import BOUNDARIES, Geometry, fold
from refmg_backends.registry import backend_names, get_backend
from refmg_backends.sparse_assembly import assemble

__all__ = [
    "BOUNDARIES",
    "VARIABLES",
    "Activation",
    "ArrayBackend",
    "Backend",
    "BackendUnavailableError",
    "ConvolutionKernel",
    "Curvature",
    "FixedFeatures",
    "Geometry",
    "RefmgError",
    "ResidualNetwork",
    "ResidualParameters",
    "UnknownBackendError",
    "__version__",
    "assemble",
    "backend_names",
    "capabilities",
    "check_environment",
    "default_dtype",
    "diagonal_curvature",
    "fold",
    "get_backend",
    "one_of",
]
