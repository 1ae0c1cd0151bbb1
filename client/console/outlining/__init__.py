"""Outlines drawn in the site's console: the worklist, the pictures, what an outline finds, and its file."""
