"""`ceus-sim`: simulate the study on phantom hospitals, compare it with pooled training, and show the split."""

from __future__ import annotations

import os

from ceus_models.runtime.commands.lazy_commands import lazy_program
from ceus_models.runtime.exit_codes import run_cli
from sim.runs.instruction_set import unset_pins

os.environ.update(unset_pins(os.environ))  # before a command is imported, and with it what computes

app = lazy_program(
    "ceus-sim",
    "The study of 52 centers on this machine, with phantom hospitals in place of real ones.",
    "sim",
    {
        "hospital": "sim.cli.hospital:hospital_command",
        "rehearsal": "sim.cli.rehearsal:rehearsal_command",
        "run": "sim.cli.commands:run_command",
        "compare": "sim.cli.commands:compare_command",
        "experiment": "sim.cli.commands:experiment_command",
        "attack": "sim.cli.attack:attack_command",
        "report": "sim.cli.commands:report_command",
        "centers": "sim.cli.commands:centers_command",
    },
)


def main() -> None:
    """Run `ceus-sim`."""
    run_cli(app)
