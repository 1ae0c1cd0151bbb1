"""Second exports of phantom clips, and pairs of different patients, by the likeness that tells copies.

`python -m benchmarks.copies [--clips 200]`: clips of the demo are exported once more (other UIDs, JPEG quality 70, the
first five frames cut off); each is compared with its own second export and with those of all the others.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from client.data.forms.site_config import load_site
from client.data.imaging.likeness import ALIKE, compare_likeness
from client.data.table.manifest import read_manifest
from sim.hospital.prepare import order_hospitals
from tests.support.made_copies import export_again, load_demo, read_digests

WAYS = ("as check looks (24 pictures)", "as index reads (all frames)")


def main() -> None:
    """Writes hospitals until there are enough DICOM clips, and prints what was matched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    wanted = parser.parse_args().clips
    with tempfile.TemporaryDirectory() as scratch:
        digests = []
        for order in order_hospitals(load_demo(), 1, Path(scratch)):
            site = load_site(order.write().folder)
            for row in read_manifest(site).rows:
                clip = row.clips[0].path
                if clip.suffix != ".dcm" or len(digests) == wanted:
                    continue
                again = export_again(clip, clip.with_suffix(".again.dcm"))
                digests.append((read_digests(clip, row, site), read_digests(again, row, site)))
            if len(digests) == wanted:
                break
    for way, name in enumerate(WAYS):
        ours, theirs = (np.stack([pair[side][way] for pair in digests]) for side in (0, 1))
        likeness = np.stack([compare_likeness(one, theirs) for one in ours])
        same, other = likeness.diagonal(), likeness[~np.eye(len(likeness), dtype=bool)]
        print(
            f"{name}: {int((same > ALIKE).sum())} of {len(same)} second exports matched (least {same.min():.3f}), "
            f"{int((other > ALIKE).sum())} of {len(other)} different pairs (most {other.max():.3f}); limit {ALIKE}"
        )


if __name__ == "__main__":
    main()
