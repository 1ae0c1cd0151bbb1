"""Reporting checklists, filled as far as a run knows the answer and open where a person must write."""
