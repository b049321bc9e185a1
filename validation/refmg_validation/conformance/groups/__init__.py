"""The cases, one module a group."""
