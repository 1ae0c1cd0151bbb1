"""A hospital's side: files become samples, samples become sums, under the hospital's own policy."""
