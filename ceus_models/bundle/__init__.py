"""Everything needed to predict, as one folder."""
