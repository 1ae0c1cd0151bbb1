"""What a study knows, saved after every round and read back after any stop."""
