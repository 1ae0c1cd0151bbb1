"""The nets: building, losses, prediction and explanation."""
