"""Quality sheets and contact sheets: what was read, for the eye."""
