"""The radiologist's outline of a lesion, whatever tool drew it."""
