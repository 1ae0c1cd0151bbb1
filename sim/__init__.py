"""The 52-center study replayed on phantom hospitals."""
