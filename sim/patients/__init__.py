"""The 52 centers and their patients, as numbers."""
