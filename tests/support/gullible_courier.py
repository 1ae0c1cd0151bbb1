"""A courier whose approval check is switched off, and which runs the bundle's own code: COURIER BUNDLE OUT.

The runner's own steps, with Flower's runtime played; the answer of the bundle's app goes to OUT.
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from flwr.app import Context, Message

import client.courier.runner
from ceus_models.protocol.flower_records import from_record
from client.courier.folder import CourierFolder
from tests.client.courier.test_runner import Runtime, run


def bundled(content: bytes) -> client.courier.runner.App:
    """The app of a bundle, unpacked and imported, as stock Flower would."""

    def app(message: Message, context: Context) -> Message:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)
            code = (Path(folder) / "client" / "courier" / "client_app.py").read_text()
        names: dict[str, client.courier.runner.App] = {}
        exec(compile(code, "client/courier/client_app.py", "exec", dont_inherit=True), names)
        return names["app"](message, context)

    return app


def main(courier: Path, bundle: Path, out: Path) -> None:
    content = bundle.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client.courier.runner, "refusal_reason", lambda *_: None)  # the approval check
        runtime = run(Runtime(content), CourierFolder(courier), patch, bundled(content))
    assert runtime.reply is not None
    out.write_bytes(from_record(runtime.reply.content))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
