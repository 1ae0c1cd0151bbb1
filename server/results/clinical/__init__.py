"""What a model is worth in use, from counts: calibration lines, decision curves, predictive values, sets of answers."""
