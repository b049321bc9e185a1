"""What the tests of convolutions share."""

from __future__ import annotations


def on(K, X):
    return K.backend.asarray(X)
