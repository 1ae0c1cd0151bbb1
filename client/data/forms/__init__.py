"""The forms that a hospital fills, and site.yaml."""
