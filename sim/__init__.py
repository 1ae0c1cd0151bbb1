"""Simulation of the 52-center study on phantom hospitals."""
