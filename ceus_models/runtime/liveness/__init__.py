"""Signs of life between processes: what one does, and how long ago, by a clock that nobody sets."""
