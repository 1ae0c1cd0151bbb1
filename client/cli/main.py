"""`ceus-site`: check a hospital's folder, index it, look at what came out, and take part in a study."""

from __future__ import annotations

from ceus_models.runtime.commands.lazy_commands import lazy_program
from ceus_models.runtime.exit_codes import run_cli
from client.translation.language import use_environment

app = lazy_program(
    "ceus-site",
    "The hospital's side of fedceus. Nothing leaves the machine but by `serve`, as the policy allows.",
    "site",
    {
        "init": "client.cli.init:init_command",
        "scan": "client.cli.intake.scan:scan_command",
        "receive": "client.cli.intake.receive:receive_command",
        "check": "client.cli.dataset:check_command",
        "index": "client.cli.dataset:index_command",
        "show": "client.cli.show:show_command",
        "keys": "client.cli.enrolment:keys_command",
        "join": "client.cli.enrolment:join_command",
        "approve": "client.cli.approval:approve_command",
        "disapprove": "client.cli.approval:disapprove_command",
        "reviewers": "client.cli.approval:reviewers_command",
        "approve-roster": "client.cli.enrolment:approve_roster_command",
        "predict": "client.cli.predict:predict_command",
        "bundle": "client.cli.predict:bundle_command",
        "preflight": "client.service.preflight:preflight_command",
        "health": "client.service.health:health_command",
        "serve": "client.cli.serving:serve_command",
        "worker": "client.cli.serving:worker_command",
        "courier": "client.cli.serving:courier_command",
        "pause": "client.cli.opt_out:pause_command",
        "resume": "client.cli.opt_out:resume_command",
        "withdraw": "client.cli.opt_out:withdraw_command",
        "rejoin": "client.cli.opt_out:rejoin_command",
        "forget": "client.cli.forget:forget_command",
        "restored": "client.cli.privacy:restored_command",
        "audit": "client.cli.audit:app",
        "privacy": "client.cli.privacy:app",
        "console": "client.console.app:console_command",
    },
    "client.cli.next_step:describe_next",
    "client.translation.language:make_option",
)


def main() -> None:
    """Run `ceus-site`, in the language of the environment."""
    use_environment()
    run_cli(app)
