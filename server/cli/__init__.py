"""`ceus-coordinator`: one module a group of commands."""
