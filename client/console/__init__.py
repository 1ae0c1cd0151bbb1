"""The site's console in a browser."""
