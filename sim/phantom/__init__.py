"""The phantom: a lesion's CEUS video with its ground truth."""
