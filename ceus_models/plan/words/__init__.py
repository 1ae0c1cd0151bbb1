"""A plan in words, read from its JSON without torch: what it asks, costs and changes."""
