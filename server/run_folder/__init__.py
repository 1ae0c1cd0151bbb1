"""The coordinator's folder: where things lie, and the small files through which its processes speak."""
