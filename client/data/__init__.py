"""The reading half: from a hospital's files to samples."""
