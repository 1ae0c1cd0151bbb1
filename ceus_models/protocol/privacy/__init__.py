"""What both sides of a private answer compute alike: integers of sums, masks, shares and noise."""
