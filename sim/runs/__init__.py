"""Runs of a plan on phantom hospitals, their baselines (pooled, local, classical), and a run as data frames."""
