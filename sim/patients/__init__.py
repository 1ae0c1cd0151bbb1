"""The 52 centers and their patients: clinical data without videos."""
