"""Runs of a plan on phantom hospitals, and their baselines: pooled and local training."""
