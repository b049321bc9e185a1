"""Pointwise nonlinearities; they live with the backends, which fuse them into their kernels."""

from refmg_backends.activation import ACTIVATIONS as ACTIVATIONS
from refmg_backends.activation import Activation as Activation
from refmg_backends.activation import named_activation as named_activation
