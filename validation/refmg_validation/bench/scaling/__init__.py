"""How runs grow with the number of ranks: measured at few, modelled at many."""
