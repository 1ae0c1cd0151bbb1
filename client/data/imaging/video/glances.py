"""Frames at given times of a stream, with as few jumps and as few decoded frames as its index allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from client.data.imaging.video.decoder import OpenStream


def find_frames(opened: OpenStream, places: Sequence[int]) -> Iterator[VideoFrame]:
    """The first frame at or after each place that is no frame of an earlier place. Raises what `decode` raises.

    places: rising, in units of the stream's time base after its start.
    """
    stream, at = opened.stream, -1
    frames: Iterator[VideoFrame] = iter(())
    start = stream.start_time or 0
    for place in places:
        if place <= at:
            continue
        if at < 0 or _has_key_frame(stream, start + at, start + place):
            opened.container.seek(start + place, stream=stream)
            frames = opened.decode(jumped=True)
        frame = next((one for one in frames if one.pts is not None and one.pts - start >= place), None)
        if frame is None or frame.pts is None:
            return
        at = frame.pts - start
        yield frame


def _has_key_frame(stream: VideoStream, after: int, until: int) -> bool:
    """Whether decoding may start anew between two times, so that a jump spares frames; so too without an index."""
    entries = stream.index_entries
    found = entries.search_timestamp(until) if len(entries) else -1
    return found < 0 or entries[found].timestamp > after
