"""Work on one device: images that stay there, batches that fit its memory, and what a plan needs of it."""
