"""The Jacobian of the final features by the controls, as a SciPy ``LinearOperator``."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from refmg.network import Network
from refmg.propagation import Propagation
from refmg.trajectory import linearized


def jacobian(network: Network, x: ArrayLike, storage: str = "all") -> scipy.sparse.linalg.LinearOperator:
    """Return ``J``, from directions of the controls to tangents of the final features.

    Parameters
    ----------
    network : Network
        Where to linearise; its classifier is not needed.
    x : array_like, shape (C_in, n_1, .., n_d, m)
        Images, examples last.
    storage : {"all", "checkpoint", "reversible"}
        What is kept between products.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        On host vectors: ``matvec`` is the tangent, ``rmatvec`` the discrete adjoint. Controls in the
        order of ``Controls.flat``, features flattened.

    Raises
    ------
    RefmgError
        If the images do not fit, or the storage is unknown or impossible.

    Examples
    --------
    >>> from refmg import Architecture, random_network
    >>> from refmg.checks import dot_test_operator
    >>> network = random_network(Architecture((4, 4), channels=2, layer="symmetric"), 0, "numpy", "float64")
    >>> J = jacobian(network, np.ones((1, 4, 4, 3)))
    >>> J.shape, dot_test_operator(J, np.random.default_rng(5)).passed
    ((96, 94), True)
    """
    backend, controls, dtype = network.backend, network.controls, network.dtype
    images = backend.asarray(np.asarray(x), dtype=dtype)
    trajectory = linearized(network.propagation.prepared, images, storage)
    shape = tuple(trajectory.Y.shape)

    def tangent(v: Any) -> Any:
        direction = controls.unflat(backend.xp, backend.asarray(np.ravel(v), dtype=dtype))
        along = Propagation(network.architecture, direction, backend)
        return backend.to_numpy(trajectory.tangent(along)).ravel()

    def adjoint(P: Any) -> Any:
        cotangent = backend.asarray(np.reshape(P, shape), dtype=dtype)
        return backend.to_numpy(trajectory.adjoint(cotangent).flat(backend.xp))

    size = (int(np.prod(shape)), controls.size)
    return scipy.sparse.linalg.LinearOperator(
        dtype=np.dtype(dtype), shape=size, matvec=tangent, rmatvec=adjoint
    )
