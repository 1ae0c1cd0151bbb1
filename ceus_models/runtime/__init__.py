"""What every program needs whatever it does: errors and exit codes, whole files, seeds, processes, logs."""
