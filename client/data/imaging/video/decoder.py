"""Decode a video stream with PyAV (FFmpeg), frame by frame, and stop at the first frame that is not whole.

FFmpeg hands out frames that it could not decode: rows of older frames, of nothing, or of a guess. It marks them, or
says so when it is asked to end at the first error (`explode`); both end the file here. Its messages quote the file's
name, so none is printed, and of an error only its type passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from client.data.imaging.recording import MAX_PIXELS, ClipError, unreadable_error
from client.data.imaging.video.unwritten import GUARDED, refuse_unwritten

av.logging.set_level(None)

DECODING_ERRORS = (av.FFmpegError, ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What PyAV raises on damaged files; none of the text may pass."""
_DEMUXERS = "avi,mov,asf,matroska,mpeg,mpegts,mpegvideo,h264,hevc,m4v"
"""Others read playlists, which name further files, or take a name with digits for a series of pictures."""
CODECS = frozenset(GUARDED) | {"h264", "mjpeg", "dvvideo", "prores", "rawvideo", "png", "huffyuv", "ffvhuff", "utvideo"}
"""FFmpeg's names of the decoders that are used: none shows memory that it did not write (see `unwritten`). Cinepak,
Microsoft Video 1, FFV1, QuickTime RLE and JPEG 2000 in AVI do on damaged files."""
_LIBRARIES = ("libavcodec", "libavformat", "libavfilter", "libswscale")
_LIMITS = {"max_pixels": str(MAX_PIXELS)}


def describe_ffmpeg() -> str:
    """Versions of the libraries of FFmpeg that read videos."""
    return ", ".join(f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in _LIBRARIES)


@dataclass(frozen=True)
class OpenStream:
    """The first video stream of an opened container."""

    container: InputContainer
    stream: VideoStream

    @property
    def duration(self) -> int:
        """In units of the stream's time base, 0 where it is not stated."""
        if self.stream.duration is not None:
            return self.stream.duration
        seconds = Fraction(self.container.duration or 0, av.time_base)
        return int(seconds / self.stream.time_base) if self.stream.time_base else 0

    def decode(self, jumped: bool = False) -> Iterator[VideoFrame]:
        """All frames in the order in which they are shown, from where the container stands.

        jumped: not at its start, so frames that lack what they refer to are left out before the first whole one.

        Raises:
            ClipError: at the first frame that is not whole.
        """
        frames = self._decode_whole(jumped)
        name = self.stream.codec_context.name
        return refuse_unwritten(frames, name) if name in GUARDED else frames

    def _decode_whole(self, jumped: bool) -> Iterator[VideoFrame]:
        """Frames up to the first one that the decoder marks, or fails at."""
        packets, leading, whole = _iterate_packets(self), 0, 0
        stamps: list[int] = []
        for packet in packets:
            if not whole and packet.pts is not None and not packet.is_discard:
                stamps.append(packet.pts)
            for frame in _decode_packet(packet):
                if frame.is_corrupt and whole:
                    raise unreadable_error("video", f"a damaged picture after {whole} good ones")
                leading += frame.is_corrupt
                if not (frame.is_corrupt or whole or jumped):
                    _check_start(leading, stamps, frame)
                whole += not frame.is_corrupt
                if whole:
                    yield frame
        if not whole:
            found = (
                f"{leading} pictures that all refer to others before it" if leading else "no frame that can be decoded"
            )
            raise unreadable_error("video", found)


@contextmanager
def open_stream(path: Path) -> Iterator[OpenStream]:
    """Open a file for one pass over its video. Raises ClipError for what is no video."""
    try:
        container = av.open(
            str(path),
            options=_LIMITS,
            container_options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except DECODING_ERRORS as error:
        raise _name_error("a container that cannot be opened", error) from None
    with container:
        yield OpenStream(container, _choose_stream(container))


def _choose_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is no cover picture, set to decode by one thread and to hide no error."""
    shown = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not shown or shown[0].codec_context is None:
        raise unreadable_error("video", "no video stream that has a decoder")
    stream = shown[0]
    context = stream.codec_context
    if context.name not in CODECS:
        raise ClipError(
            "unknown-clip-format",
            "a video is coded as Motion JPEG, MPEG-1, -2 or -4, H.264, HEVC, WMV, DV, ProRes, or without loss in AVI",
            f"the codec {context.name}",
            "export the clip as multi-frame DICOM, or as AVI or MP4 in one of these",
        )
    # every core has a worker; handing frames from thread to thread is an eighth of decoding
    context.thread_count = 1
    context.options = {**_LIMITS, "err_detect": "crccheck+explode"}
    # frames that lack what they refer to are dropped unless they are asked for: then they come with a mark
    context.flags |= Flags.output_corrupt | Flags.bitexact  # the latter: the same levels on every processor
    return stream


def _iterate_packets(opened: OpenStream) -> Iterator[Packet[VideoStream]]:
    packets = opened.container.demux(opened.stream)
    while True:
        try:
            packet = next(packets, None)
        except DECODING_ERRORS as error:
            raise _name_error("a file that cannot be read on", error) from None
        if packet is None:
            return
        if packet.is_corrupt:
            raise unreadable_error("video", "a file that is cut off, or damaged, within a frame")
        yield packet


def _decode_packet(packet: Packet[VideoStream]) -> list[VideoFrame]:
    try:
        return packet.decode()
    except DECODING_ERRORS as error:
        raise _name_error("a frame that cannot be decoded", error) from None


def _check_start(leading: int, stamps: list[int], first: VideoFrame) -> None:
    """A recording cut out of a longer one may begin with pictures that refer to others before the cut."""
    dropped = leading or sum(first.pts is not None and stamp < first.pts for stamp in stamps)
    if dropped:
        raise unreadable_error("video", f"{dropped} pictures at its start that refer to others before it")


def _name_error(what: str, error: BaseException) -> ClipError:
    return unreadable_error("video", f"{what} ({type(error).__name__})")
