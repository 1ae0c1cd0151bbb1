"""The study's experiments: variants of a plan, and analyses of a finished run."""
