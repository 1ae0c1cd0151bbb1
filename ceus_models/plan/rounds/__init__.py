"""What a stage of a plan asks in its rounds, and what it makes of the answers."""
