"""The canvas of all figures: colours, style and file formats."""
