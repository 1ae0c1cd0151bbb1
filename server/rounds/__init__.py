"""The loop over rounds: send tasks, screen answers, add them up, save."""
