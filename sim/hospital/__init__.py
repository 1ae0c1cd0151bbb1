"""Hospitals on disk, as real ones would have them."""
