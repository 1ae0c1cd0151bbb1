"""What is wrong with a hospital's files: one record a fault, each kind with its meaning and remedy."""
