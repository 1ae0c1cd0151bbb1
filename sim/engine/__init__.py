"""Links between a coordinator and sites on one machine."""
