"""The language of who reads: what is printed and shown, and the terminal that prints it."""
