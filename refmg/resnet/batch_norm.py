"""Batch normalisation with its exact adjoint, in training and in evaluation mode."""
