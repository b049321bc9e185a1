"""The expected outputs, by explicit formulas that share no code with what they test.

Nothing here imports refmg's mathematics: R, P and K are written out tap by tap, sensitivities by forward
differentiation of the formulas. And nothing calls BLAS, LAPACK or the mathematics library of the machine,
whose last bits depend on processor, threads and version: sums run in a fixed order, systems are solved in
fractions, exponentials are rounded from forty decimal digits. So the vectors are the same bytes everywhere.
"""
