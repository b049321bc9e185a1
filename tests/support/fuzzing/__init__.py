"""Damaged and hostile input for every reader: valid files changed, read in limited processes."""
