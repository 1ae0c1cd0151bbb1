"""Results computed from the sums of an evaluation."""
