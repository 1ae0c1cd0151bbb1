"""What the hospital allows."""
