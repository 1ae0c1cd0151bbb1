"""What stands between a computed sum and the wire: keys, noise, masks, and the budget of privacy."""
