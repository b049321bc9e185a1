"""Array backends of refmg: an array-API namespace and the few kernels that differ between machines.

What needs NumPy is imported when it is asked for: the help of the command ``refmg`` does not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from refmg_backends._version import __version__
from refmg_backends.environment import VARIABLES, check_environment, default_dtype
from refmg_backends.errors import BackendUnavailableError, RefmgError, UnknownBackendError, one_of

if TYPE_CHECKING:
    from refmg_backends.activation import Activation
    from refmg_backends.array_backend import ArrayBackend
    from refmg_backends.backend import (
        Backend,
        ConvolutionKernel,
        FixedFeatures,
        ResidualNetwork,
        ResidualParameters,
    )
    from refmg_backends.curvature import Curvature, diagonal_curvature
    from refmg_backends.geometry import BOUNDARIES, Geometry, fold
    from refmg_backends.members import capabilities
    from refmg_backends.registry import backend_names, get_backend
    from refmg_backends.sparse_assembly import assemble

_LATER = {
    "Activation": "activation",
    "ArrayBackend": "array_backend",
    "Backend": "backend",
    "ConvolutionKernel": "backend",
    "FixedFeatures": "backend",
    "ResidualNetwork": "backend",
    "ResidualParameters": "backend",
    "capabilities": "members",
    "Curvature": "curvature",
    "diagonal_curvature": "curvature",
    "BOUNDARIES": "geometry",
    "Geometry": "geometry",
    "fold": "geometry",
    "backend_names": "registry",
    "get_backend": "registry",
    "assemble": "sparse_assembly",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found  # from now on without a detour
    return found


def __dir__() -> list[str]:
    """List what can be asked for, imported or not."""
    return sorted({*globals(), *_LATER})


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
