"""The experiments ``reproduce depth`` (Figure 2) and ``reproduce pyramid`` (Algorithm 1)."""
