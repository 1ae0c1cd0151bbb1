"""What an evaluation counts, as sums over lesions."""
