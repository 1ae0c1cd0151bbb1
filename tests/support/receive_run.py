"""A receiver in a process of its own, by the settings of site.yaml; its events on standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.progress_bar import stop_on_sigterm
from ceus_models.runtime.supervisor import log_event
from client.data.forms.site_config import load_site, read_secret
from client.service.receiving.staging import StagedStudies
from client.service.receiving.storage_service import StorageService, receive_until


def tell(moved: list[Path]) -> bool:
    log_event({"event": "arrived", "counts": [len(list(one.iterdir())) for one in moved]})
    return True


def main(folder: Path) -> None:
    site = load_site(folder)
    assert site.receive is not None
    staged = StagedStudies(site.folder, read_secret(site), site.receive)
    try:
        with stop_on_sigterm():
            receive_until(StorageService(staged, log_event), tell, lambda: False)
    except KeyboardInterrupt:
        log_event({"event": "stopped"})
    except ExpectedError as error:
        log_event({"event": "error", "said": str(error)})


main(Path(sys.argv[1]))
