"""The command line `ceus-sim`."""
