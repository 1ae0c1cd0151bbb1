"""The coordinator's console in a browser."""
