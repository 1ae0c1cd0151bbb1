"""What every program needs: errors, exit codes, atomic files, seeds, processes and logs."""
