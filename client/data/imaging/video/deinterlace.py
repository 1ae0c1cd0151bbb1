"""Interlaced frames to whole ones: both fields of a frame were taken at two times, and moving edges come out as combs.

The missing lines of the first field are interpolated (bwdif of FFmpeg, after BBC R&D WHP 150), so each frame keeps its
number and its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from client.data.imaging.recording import unreadable_error
from client.data.imaging.video.decoder import DECODING_ERRORS

_PARITIES = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}
"""Which field is shown first, by the container's field order (AVFieldOrder): coded and shown TT, BB, TB, BT."""
_AGAIN = (av.error.BlockingIOError, av.error.EOFError)


def deinterlace(frames: Iterator[VideoFrame], field_order: int) -> Iterator[VideoFrame]:
    """The same frames without combs, as many and in the same order; progressive ones before the first are untouched.

    Args:
        frames: Decoded frames.
        field_order: What the container says of all of them (AVFieldOrder), where the frames themselves do not say it.

    Raises:
        ClipError: The frames cannot be deinterlaced.
    """
    graph, taken, given = None, 0, 0
    for frame in frames:
        if graph is None and not frame.interlaced_frame and field_order not in _PARITIES:
            yield frame
            continue
        graph = graph or _build_graph(frame, field_order)
        taken += 1
        for made in _filter(graph, frame):
            given += 1
            yield made
    for made in _filter(graph, None) if graph is not None else ():
        given += 1
        yield made
    if taken != given:
        raise unreadable_error("video", f"{taken} interlaced frames of which {given} came out whole")


def _build_graph(frame: VideoFrame, field_order: int) -> Graph:
    marked = frame.interlaced_frame
    options = {
        "mode": "send_frame",
        "parity": "auto" if marked else _PARITIES[field_order],
        "deint": "interlaced" if marked else "all",
    }
    try:
        graph = Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
        )
        graph.link_nodes(source, graph.add("bwdif", **options), graph.add("buffersink")).configure()
    except DECODING_ERRORS as error:
        raise unreadable_error("video", f"interlaced frames of an unknown kind ({type(error).__name__})") from None
    return graph


def _filter(graph: Graph, frame: VideoFrame | None) -> list[VideoFrame]:
    """What comes out for one more frame, or after the last one (None)."""
    made: list[VideoFrame] = []
    try:
        graph.vpush(frame)
        while True:
            made.append(graph.vpull())
    except _AGAIN:
        return made
    except DECODING_ERRORS as error:
        raise unreadable_error("video", f"a frame that cannot be deinterlaced ({type(error).__name__})") from None
