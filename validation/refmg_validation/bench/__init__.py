"""Speed beside a peer in the same process: medians, spreads, ratios, and how far the machine's limit is."""
