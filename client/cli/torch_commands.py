"""`ceus-site predict | bundle | preflight`: the commands that run nets, in a process of their own, which loads torch.

`client.cli.torch_process` starts it; all other commands are spared seconds and half a gigabyte.
"""

from __future__ import annotations

import typer

from ceus_models.runtime.exit_codes import run_cli
from client.cli.predict import app as prediction_app
from client.service.preflight import preflight_command

app = typer.Typer(name="ceus-site", add_completion=False, pretty_exceptions_enable=False)
app.command("preflight")(preflight_command)
app.add_typer(prediction_app)

if __name__ == "__main__":
    run_cli(app, "ceus-site")
