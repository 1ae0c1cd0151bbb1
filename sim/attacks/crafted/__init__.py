"""Crafted tasks: weights and recipes written by hand, so that an answer speaks of single patients."""
