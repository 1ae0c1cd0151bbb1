"""The nets: how they are built, trained, asked and explained."""
