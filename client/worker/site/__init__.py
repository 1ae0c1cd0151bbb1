"""A site as the coordinator meets it: who answers, whether, and how often."""
