"""`ceus-site`: one module a group of commands."""
