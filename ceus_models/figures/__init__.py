"""The canvas that every figure of site, coordinator and report is drawn on: colours, style, and files."""
