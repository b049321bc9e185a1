"""Tables of the documentation, made from the records that they cite, so that the two cannot differ."""
