"""A lesion as a video with its truth."""
