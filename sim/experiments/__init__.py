"""Experiments: what is varied, and what it shows."""
