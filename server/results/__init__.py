"""From the sums of an evaluation to results."""
