"""Index FOLDER with one worker and print the lesions that were made and the most MB that the worker held; for tests."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from ceus_models.study.processing import Processing
from client.data.dataset.index import build_index
from client.data.forms.site_config import load_site

if __name__ == "__main__":
    report = build_index(load_site(Path(sys.argv[1])), Processing(), workers=1)
    print(report.made, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
