"""The site's own record of everything that it was asked and that left."""
