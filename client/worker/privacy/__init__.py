"""The way out of a site: masks of secure sums, and what was opened."""
