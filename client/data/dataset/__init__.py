"""A site's lesions: checked, indexed, kept by content, and opened as samples."""
