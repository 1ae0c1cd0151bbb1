"""Clips come into a site: from an export, or over the network from the PACS and the scanner."""
