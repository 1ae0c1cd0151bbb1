"""Runs on phantom hospitals, their baselines (pooled, local, classical), and a finished run as data frames."""
