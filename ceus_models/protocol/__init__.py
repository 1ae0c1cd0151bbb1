"""Messages between coordinator and site, their encoding, and exact sums of updates."""
