"""What is said between coordinator and site, how it is written, and how answers add."""
