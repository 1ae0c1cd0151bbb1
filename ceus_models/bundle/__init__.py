"""The model bundle: one folder with everything that a prediction needs."""
