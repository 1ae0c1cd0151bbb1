"""Phantom hospitals on disk, with the files of real ones."""
