"""The rehearsal: a whole federation on this machine, by the commands that its people type."""
