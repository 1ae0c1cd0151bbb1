"""Attacks of a curious coordinator on phantom hospitals: what crafted tasks bring out of a site, at each level."""
