"""Controls and networks moved between depths, with the final time T constant (paper, section 3)."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from refmg.architecture import Architecture
from refmg.controls import Controls
from refmg.multilevel.time_matrix import time_matrix
from refmg.network import Network
from refmg.rational import RationalMatrix
from refmg_backends import RefmgError
from refmg_backends.backend import Array


def prolong_in_time(
    xp: ModuleType,
    controls: Controls,
    nodes: int,
    interpolation: str = "linear",
    time_nodes: str = "left",
) -> Controls:
    """Return the controls at other nodes in time.

    Parameters
    ----------
    xp : module
        Array namespace.
    controls : Controls
        Stencils and biases at M nodes.
    nodes : int
        A multiple or a divisor of M.
    interpolation : {"linear", "cubic", "constant"}
        See :func:`refmg.multilevel.time_matrix`.
    time_nodes : {"left", "cell-centred"}
        See there as well.

    Returns
    -------
    Controls
        The opening, which has no time, is the same.

    Raises
    ------
    RefmgError
        If the numbers do not fit or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> theta = Controls(np.zeros((1, 1, 1)), np.array([[[[0.0]]], [[[1.0]]]]), np.zeros((2, 1)))
    >>> prolong_in_time(np, theta, 4).stencils.ravel()
    array([0. , 0.5, 1. , 1. ])
    """
    matrix = time_matrix(controls.stencils.shape[0], nodes, interpolation, time_nodes)
    return Controls(
        controls.opening, _combined(xp, matrix, controls.stencils), _combined(xp, matrix, controls.biases)
    )


def _combined(xp: ModuleType, matrix: RationalMatrix, values: Array) -> Array:
    """Return the matrix times values; a row with one entry 1 copies, to the last bit."""
    rows = []
    for row in matrix:
        terms = [float(weight) * values[j, ...] for j, weight in enumerate(row) if weight]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        rows.append(total)
    return xp.stack(rows)


def deeper(architecture: Architecture, layers: int, control_nodes: int | None = None) -> Architecture:
    """Return the architecture with other numbers of steps and controls, and the same final time.

    Parameters
    ----------
    architecture : Architecture
        Before.
    layers : int
        New number N of steps.
    control_nodes : int, optional
        New number M of controls. By default one a step where that is so now; controls with a number of
        their own keep it: they are functions of time, which finer steps only follow more closely.

    Returns
    -------
    Architecture

    Examples
    --------
    >>> deeper(Architecture((8, 8), layers=2), 4).control_grid.nodes
    4
    >>> deeper(Architecture((8, 8), layers=4, control_nodes=2), 8).control_grid.nodes
    2
    """
    nodes = architecture.control_nodes if control_nodes is None else control_nodes
    return replace(architecture, layers=layers, control_nodes=nodes)


def change_depth(
    network: Network,
    layers: int,
    interpolation: str = "linear",
    control_nodes: int | None = None,
    time_nodes: str = "left",
) -> Network:
    """Return the network with more or fewer layers over the same time.

    Parameters
    ----------
    network : Network
        Of N steps.
    layers : int
        New number of steps.
    interpolation : {"linear", "cubic", "constant"}
        Of stencils and biases, see :func:`refmg.multilevel.time_matrix`.
    control_nodes : int, optional
        New number of controls, see :func:`deeper`.
    time_nodes : {"left", "cell-centred"}
        Where in its step a control stands, see :func:`refmg.multilevel.time_matrix`. Cell-centred ones need
        a control a step, before and after: others are functions of time that begin at left ends.

    Returns
    -------
    Network
        Opening and classifier are kept.

    Raises
    ------
    RefmgError
        If neither number of controls is a multiple of the other, a name is unknown, or cell-centred
        controls are not one a step.

    Examples
    --------
    >>> from refmg import random_network
    >>> shallow = random_network(Architecture((8, 8), layers=2), seed=0)
    >>> deep = change_depth(shallow, 8)
    >>> deep.architecture.layers, deep.architecture.dt, deep.controls.stencils.shape[0]
    (8, 0.125, 8)
    """
    a = deeper(network.architecture, layers, control_nodes)
    check_depth_change(network.architecture, a, interpolation, time_nodes)
    nodes, xp = a.control_grid.nodes, network.backend.xp
    controls = prolong_in_time(xp, network.controls, nodes, interpolation, time_nodes)
    return Network(a, controls, network.classifier, network.backend)


def check_depth_change(old: Architecture, new: Architecture, interpolation: str, time_nodes: str) -> None:
    """Refuse a change of depth that :func:`change_depth` could not make.

    Raises
    ------
    RefmgError
        See there.

    Examples
    --------
    >>> check_depth_change(Architecture((8, 8), layers=2), Architecture((8, 8), layers=4), "linear", "left")
    """
    time_matrix(old.control_grid.nodes, new.control_grid.nodes, interpolation, time_nodes)
    for a in (old, new):
        if time_nodes != "left" and a.control_grid.nodes != a.layers:
            raise RefmgError(
                f"found {a.control_grid.nodes} controls for {a.layers} steps and time_nodes={time_nodes!r}; "
                "expected a control a step: controls with a number of their own stand at left ends"
            )
