"""Metrics and statistics as sums over lesions."""
