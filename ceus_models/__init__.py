"""What a lesion is, what the nets see, what is said on the wire, and how sums add."""
