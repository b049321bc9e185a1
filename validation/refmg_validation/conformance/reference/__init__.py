"""The expected outputs: explicit matrices and dense formulas, nothing of the fast kernels and adjoints."""
