"""A worker process with made-up lesions under its folder's real policy, standing and audit: FOLDER SOCKET."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from toy_lesions import lesions

from client.policy.policy_file import PolicyFile
from client.worker.audit.log import Audit
from client.worker.audit.recorder import open_recorder
from client.worker.process import Limits, log_line, serve
from client.worker.site.consent import SiteConsent
from client.worker.site.site import Site
from client.worker.tasks.site_memory import SiteMemory

LIMITS = Limits(task_bytes=32 << 20, read_s=2.0, write_s=2.0, idle_s=0.3, burst=1_000_000)


def main(folder: Path, socket_path: Path) -> None:
    records, memory = folder / "records", folder / "memory"
    trail = open_recorder(Audit(records))
    office = SiteConsent(PolicyFile(folder), records, SiteMemory(memory), trail, lambda _: None, log_line)
    site = Site("site-01", lesions(6), "p1", office, memory, on_fault=log_line, trail=trail)
    serve(socket_path, site, LIMITS, log_line, site.record_refusal)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
