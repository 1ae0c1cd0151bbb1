"""The half of a site that has the data and no network: it answers tasks with sums."""
