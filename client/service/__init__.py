"""Worker and courier kept running, and whether they can."""
