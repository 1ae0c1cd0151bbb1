"""Keys, certificates and signed documents of a federation."""
