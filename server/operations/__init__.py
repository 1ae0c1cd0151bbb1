"""A federation at work: its processes kept running, and how it stands."""
