"""A plan and its stages: what is asked, and what the sums mean."""
