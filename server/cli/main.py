"""`ceus-coordinator`: found a federation, enrol sites, run a study, and report its results."""

from __future__ import annotations

from ceus_models.runtime.commands.lazy_commands import lazy_program
from ceus_models.runtime.exit_codes import run_cli

app = lazy_program(
    "ceus-coordinator",
    "The coordinator's side of fedceus.",
    "coordinator",
    {
        "plan": "server.cli.plan:plan_command",
        "report": "server.cli.report:report_command",
        "study": "server.cli.studies:study_app",
        "init": "server.cli.enrolment:init_command",
        "enrol": "server.cli.enrolment:enrol_command",
        "renew": "server.cli.enrolment:renew_command",
        "revoke": "server.cli.enrolment:revoke_command",
        "roster": "server.cli.enrolment:roster_command",
        "up": "server.cli.running:up_command",
        "run": "server.cli.running:run_command",
        "stop": "server.cli.running:stop_command",
        "status": "server.cli.status:status_command",
        "health": "server.cli.status:health_command",
        "preflight": "server.cli.running:preflight_command",
        "console": "server.cli.console:console_command",
        "people": "server.cli.people:people_app",
        "notices": "server.cli.notices:app",
    },
    "server.cli.next_step:describe_next",
)


def main() -> None:
    """Run `ceus-coordinator`."""
    run_cli(app)
