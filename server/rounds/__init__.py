"""The loop over rounds: ask, screen, add, save."""
