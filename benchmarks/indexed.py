"""One run of `benchmarks.indexing` in a process of its own: FOLDER CLIP CLIPS WORKERS WAY. Prints what it took.

Nothing is imported here that `index` does not need: what a parent holds counts as its workers' most memory.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.decoding import decode
from ceus_models.study.processing import Processing
from client.data.dataset.index import build_index
from client.data.dataset.worker_pool import LostItem, map_items
from client.data.forms.site_config import load_site

INDEX = "index"


def main() -> None:
    """Index the folder, or decode its clip as often. Prints as JSON the seconds, the processor time of all workers, and
    the most MB of one.
    """
    folder, clip, clips, workers, way = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    site = load_site(folder)
    shutil.rmtree(site.work, ignore_errors=True)
    begun = time.perf_counter()
    if way == INDEX:
        report = build_index(site, Processing(), workers=workers)
        wrong = [str(fault) for fault in report.faults] if report.made != clips else []
    else:
        done = map_items(partial(decode, way=way), [folder / clip] * clips, workers)
        wrong = [str(found) for _, found in done if isinstance(found, LostItem)]
    if wrong:
        sys.exit("\n".join(wrong))
    seconds, workers_used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = workers_used.ru_utime + workers_used.ru_stime
    print(json.dumps({"seconds": seconds, "busy": busy, "mb": workers_used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
