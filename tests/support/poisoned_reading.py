"""Read spoilt videos and print what came of each: for tests that fill the decoder's memory before it is handed out.

python poisoned_reading.py FOLDER COUNT SEED
"""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

from made_videos import spoil

from client.data.imaging.recording import ClipError, Glances
from client.data.imaging.tint import TINTS
from client.data.imaging.video.reader import open_video

GOLD, GREY = TINTS["gold"], TINTS["grey"]


def describe(path: Path) -> str:
    """The digest of all levels of a video, or that it is refused."""
    digest = hashlib.sha256()
    try:
        video = open_video(path, square=True)
        whole = (0, 0, video.columns, video.rows)
        frames = 0
        for grey, gold in video.levels([(whole, GREY), (whole, GOLD)], Glances(whole)):
            frames += 1
            digest.update(grey.tobytes())
            digest.update(gold.tobytes())
    except ClipError as error:
        return f"refused {error.value}"
    return f"read {frames} {digest.hexdigest()[:16]}"


if __name__ == "__main__":
    folder, count, draw = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    originals = sorted(path for path in folder.iterdir() if path.is_file())
    for number in range(count):
        path = originals[number % len(originals)]
        spoilt = folder / "spoilt" / f"{number}{path.suffix}"
        content = path.read_bytes()
        spoilt.write_bytes(content if number < len(originals) else spoil(content, draw))
        print(number, path.name, describe(spoilt), flush=True)
        spoilt.unlink()
