"""ceus-sim: simulate the study on phantom hospitals, compare it with pooled training, and show the split."""
