"""What a site computes for each kind of task."""
