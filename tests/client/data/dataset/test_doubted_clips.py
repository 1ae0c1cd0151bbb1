"""What a clip must be before it is trusted: each fault and doubt by files that hospitals bring."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from made_cases import Cases, encode_jpeg, list_reasons, run_check, write_clip
from made_clips import region, write_dicom
from small_hospital import BMODE_BOX, CONTRAST_BOX, FRAMES, RATE_HZ, make_pictures
from toy_directory import write_directory

from client.faults.catalogue import REASONS

YES = {"clip_checked": "yes"}


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    return Cases(tmp_path)


def test_a_clip_as_it_should_be_has_no_doubt(cases: Cases) -> None:
    for jpeg in (False, True):
        cases.dicom(jpeg=jpeg)
    cases.dicom(jpeg=True, CineRate=RATE_HZ, EffectiveDuration=FRAMES / RATE_HZ, RecommendedDisplayFrameRate=30)
    assert list_reasons(cases.check()) == {}
    report = cases.index()
    assert (report.read, report.look, report.notes) == (3, (), ())


IMPOSSIBLE, DISAGREE, SHORT = "impossible-frame-times", "times-disagree", "clip-too-short"


@pytest.mark.parametrize(
    ("tags", "reasons"),
    [
        ({"FrameTime": 0.5}, [IMPOSSIBLE]),  # seconds in place of milliseconds
        ({"FrameTime": 30000.0}, [IMPOSSIBLE]),
        ({"FrameTimeVector": [0.0] + [0.04] * (FRAMES - 1), "FrameTime": None}, [IMPOSSIBLE]),
        ({"FrameTime": 33.3, "EffectiveDuration": 24.0}, [SHORT, DISAGREE]),
        ({"FrameTime": 100.0}, [SHORT]),
        ({"FrameTime": None, "CineRate": 15}, [SHORT]),
        ({"CineRate": 30}, [DISAGREE]),
        ({"EffectiveDuration": 60.0}, [DISAGREE]),
        ({"FrameTimeVector": [0.0] + [500.0] * (FRAMES - 5)}, [DISAGREE]),
        ({"FrameTimeVector": [33.0] + [480.0, 520.0] * 11 + [480.0], "FrameTime": 33.3}, [DISAGREE]),
        ({"CineRate": RATE_HZ, "EffectiveDuration": 11.5, "FrameTimeVector": [33.0] + [495.0] * (FRAMES - 1)}, []),
        ({"FrameTime": None, "RecommendedDisplayFrameRate": RATE_HZ}, ["perhaps-not-real-time"]),
    ],
)
def test_times_that_cannot_be_or_contradict_each_other_are_told(
    cases: Cases, tags: dict[str, Any], reasons: list[str]
) -> None:
    line = cases.dicom(jpeg=True, **tags)
    report = cases.check()
    assert list_reasons(report) == ({line: reasons} if reasons else {})
    used = not reasons or REASONS[reasons[0]].slug == "perhaps-not-real-time"
    assert (report.usable, cases.index().read) == (int(used), int(used))


def test_what_the_table_says_of_times_is_compared_and_a_person_decides(cases: Cases) -> None:
    cases.dicom({"frame_rate_hz": "2"}, jpeg=True)
    wrong = cases.dicom({"frame_rate_hz": "25"}, jpeg=True)
    cases.dicom({"frame_rate_hz": "2"}, jpeg=True, FrameTime=0.5)  # the file cannot be right
    played = cases.dicom({"frame_rate_hz": "2", **YES}, jpeg=True, FrameTime=40.0, EffectiveDuration=12.0)
    report = cases.check()
    assert list_reasons(report) == {wrong: [DISAGREE]}
    assert "FrameTime says 11.5 s for 24 frames, frame_rate_hz 25" in report.doubts[0].value
    indexed = cases.index()
    assert (indexed.read, [look.row for look in indexed.look]) == (3, [wrong])
    del cases.rows[played - 2]["clip_checked"]
    assert list_reasons(cases.check()) == {wrong: [DISAGREE], played: [SHORT, DISAGREE, DISAGREE]}


def test_native_rgb_and_ybr_under_the_other_name_are_refused_by_the_tag(cases: Cases) -> None:
    """And JPEGs of less resolution in two components, which cannot be RGB."""
    rgb = [make_pictures(number) for number in range(6)]
    lines = [cases.dicom(PhotometricInterpretation=name) for name in ("YBR_FULL_422", "YBR_FULL")]
    ybr = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]] for picture in rgb[2]])
    lines.append(cases.take(write_clip(cases.clip(), ybr)))
    bare = [encode_jpeg(picture, marked=False) for picture in rgb[3]]
    lines.append(cases.take(write_clip(cases.clip(), rgb[3], bare, PhotometricInterpretation="RGB")))
    even = [encode_jpeg(picture, marked=False, subsampling=0) for picture in rgb[4]]
    lines.append(cases.take(write_clip(cases.clip(), rgb[4], even, PhotometricInterpretation="RGB")))
    read = [encode_jpeg(picture) for picture in rgb[5]]  # the JPEG itself says that it is YBR
    cases.take(write_clip(cases.clip(), rgb[5], read, PhotometricInterpretation="RGB"))
    report = cases.check()
    assert list_reasons(report) == {line: ["colours-disagree"] for line in lines}
    assert all("PhotometricInterpretation" in fault.rule for fault in report.faults)
    assert cases.index().skipped == {"colours-disagree": len(lines)}


def test_frames_are_counted_where_the_header_does_not_and_more_than_stated_are_told(cases: Cases) -> None:
    pictures = [make_pictures(number) for number in range(6)]
    for number in range(2):  # no number: all frames are read
        encoded = [encode_jpeg(picture) for picture in pictures[number]] if number else None
        clip = write_clip(cases.clip(), pictures[number], encoded)
        data = pydicom.dcmread(clip)
        del data.NumberOfFrames
        data.save_as(clip)
        cases.take(clip)
    more = [cases.take(write_clip(cases.clip(), pictures[2], NumberOfFrames=16))]
    encoded = [encode_jpeg(picture) for picture in pictures[3]]
    more.append(cases.take(write_clip(cases.clip(), pictures[3], encoded, NumberOfFrames=16)))
    cases.take(write_clip(cases.clip(), pictures[4], NumberOfFrames=16), **YES)
    lost = cases.take(write_clip(cases.clip(), pictures[5], NumberOfFrames=40))
    report = cases.check()
    assert list_reasons(report) == {lost: ["unreadable-clip"], **{line: ["frames-beyond-stated"] for line in more}}
    assert "NumberOfFrames 16, 24 frames stored" in report.doubts[0].value
    indexed = cases.index()
    assert (indexed.read, [look.row for look in indexed.look]) == (3, more)


def test_files_without_a_preamble_and_packed_ones_are_read(cases: Cases) -> None:
    for number, suffix in enumerate((".dcm", ".dcm.gz", ".dcm.gz")):
        clip, plain = cases.clip(suffix), cases.folder / "plain.dcm"
        content = write_clip(plain, make_pictures(number)).read_bytes()
        plain.unlink()
        bare = content[132:] if number != 1 else content
        clip.write_bytes(gzip.compress(bare) if number else bare)
        cases.take(clip)
    broken = cases.clip(".dcm.gz")
    broken.write_bytes(gzip.compress(bare)[:-2000])
    line = cases.take(broken)
    assert list_reasons(cases.check()) == {line: ["unreadable-clip"]}
    assert cases.index().read == 3


def test_a_dicomdir_stands_for_the_one_clip_that_it_lists(cases: Cases) -> None:
    for number, count in enumerate((1, 2)):
        folder = cases.folder / "clips" / str(number)
        folder.mkdir()
        clips = [write_clip(folder / f"IM{one}", make_pictures(10 * number + one)) for one in range(count)]
        cases.take(write_directory(folder, clips))
    report = cases.check()
    assert list_reasons(report) == {3: ["clip-list"]}
    assert "a DICOMDIR of 2 images, 2 of them clips" in report.faults[0].value
    assert cases.index().made == 1
    write_clip(cases.folder / "clips/0/IM0", make_pictures(30))
    assert cases.index().made == 1, "another clip behind the same DICOMDIR is another sample"


def test_stills_are_called_stills(cases: Cases) -> None:
    first = make_pictures(1)
    picture = cases.clip(".png")
    cv2.imwrite(str(picture), first[12])
    lines = [cases.take(picture)]
    lines.append(cases.take(write_clip(cases.clip(), first[12:13]), outline_frame="0"))
    frozen = np.repeat(make_pictures(3)[12:13], FRAMES, axis=0)
    lines.append(cases.take(write_clip(cases.clip(), frozen)))
    assert list_reasons(cases.check()) == {line: ["still-image"] for line in lines}
    assert cases.index().skipped == {"still-image": 3}


@pytest.mark.parametrize("start", [10, 12, 6])
def test_a_clip_that_starts_late_is_doubted_whatever_its_start_time_says(cases: Cases, start: int) -> None:
    """At full enhancement, and while the level rises; the second only in the whole course, which `index` sees."""
    draw, cells = np.random.default_rng(0), {"clip_start_s": "25", "outline_frame": "4"}
    for patient, more in ((0, {}), (1, YES)):
        pictures = make_pictures(patient)
        late = np.concatenate([pictures[start:13], np.repeat(pictures[12:13], 12, axis=0)]).astype(int)
        late = np.clip(late + draw.integers(0, 12, late.shape), 0, 255)
        looked = cases.take(write_clip(cases.clip(), late.astype(np.uint8)), **cells, **more)
    line = looked - 1
    if start > 6:
        assert list_reasons(cases.check()) == {line: ["no-baseline"]}
    report = cases.index()
    assert [(look.row, look.column) for look in report.look] == [(line, "clip_checked")]
    assert "begins before the contrast arrives" in report.look[0].found
    assert report.read == 1, looked


@pytest.mark.parametrize("kind", ["no contrast", "native", "jpeg"])
def test_recordings_without_contrast_and_colour_doppler_are_doubted(cases: Cases, kind: str) -> None:
    draw = np.random.default_rng(1)
    pictures = make_pictures(0)
    grey = np.repeat(pictures[..., :1] // 8 + draw.integers(20, 60, pictures[..., :1].shape, dtype=np.uint8), 3, axis=3)
    if kind != "no contrast":
        for number, picture in enumerate(grey):
            size = 8 if number % 3 else 5
            cv2.circle(picture, (30, 50), size, (230, 30, 20), -1)
            cv2.circle(picture, (55, 60), size, (20, 40, 230), -1)
    encoded = [encode_jpeg(picture) for picture in grey] if kind == "jpeg" else None
    line = cases.take(write_clip(cases.clip(), grey, encoded))
    expected = ["no-baseline"] if kind == "no contrast" else ["colour-doppler", "no-baseline"]
    assert list_reasons(cases.check()) == {line: expected}
    report = cases.index()
    assert [look.row for look in report.look] == [line]
    assert ("Colour Doppler" in report.look[0].found) == (kind != "no contrast")


def test_a_scale_that_no_scanner_has_is_shown_and_the_lesion_used(cases: Cases) -> None:
    deep = [region(CONTRAST_BOX, 0.575), region(BMODE_BOX, 0.575)]  # 46 cm on 80 px
    line = cases.dicom(jpeg=True, SequenceOfUltrasoundRegions=deep)
    report = cases.check()
    assert [(note.row, note.reason, note.value) for note in report.notes] == [
        (line, "implausible-depth", "46 cm by the PhysicalDeltaX of the file")
    ]
    indexed = cases.index()
    assert (report.usable, indexed.read, [note.reason for note in indexed.notes]) == (1, 1, ["implausible-depth"])
    assert [note.reason for note in cases.index().notes] == ["implausible-depth"], "from the cache, too"


def write_avi(path: Path, pictures: np.ndarray[Any, Any], rate_hz: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate_hz, pictures.shape[2:0:-1])
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()
    return path


def test_videos_that_perhaps_do_not_play_in_real_time_are_shown(cases: Cases) -> None:
    alone = cases.take(write_avi(cases.clip(".avi"), make_pictures(0), RATE_HZ))
    cases.take(write_avi(cases.clip(".avi"), make_pictures(1), RATE_HZ), frame_rate_hz=str(RATE_HZ))
    twice = np.repeat(make_pictures(2), 2, axis=0)
    repeated = cases.take(write_avi(cases.clip(".avi"), twice, 2 * RATE_HZ), frame_rate_hz=str(2 * RATE_HZ))
    assert list_reasons(cases.check()) == {alone: ["perhaps-not-real-time"]}
    report = cases.index()
    assert report.read == 3
    assert [(note.row, note.reason) for note in report.notes] == [
        (alone, "perhaps-not-real-time"),
        (repeated, "perhaps-not-real-time"),
    ]
    assert "24 of 48 frames that repeat the picture before them" in report.notes[1].value


@pytest.mark.parametrize("jpeg", [False, True])
def test_a_loop_back_to_the_baseline_is_noticed(cases: Cases, jpeg: bool) -> None:
    once = make_pictures(0)[:14]
    twice = np.concatenate([once, once])
    line = cases.take(write_clip(cases.clip(), twice, [encode_jpeg(one) for one in twice] if jpeg else None))
    other = np.concatenate([make_pictures(1)[:14], make_pictures(2)[:14]])  # dark again, and other pictures
    cases.take(write_clip(cases.clip(), other), track_checked="yes")
    report = cases.index()
    assert [look.row for look in report.look] == [line]
    assert "the first pictures of clip 1 again at 12.0 s" in report.look[0].found


def test_the_command_tells_doubts_and_ends_well(cases: Cases, capsys: pytest.CaptureFixture[str]) -> None:
    cases.dicom(jpeg=True, CineRate=30)
    cases.dicom(jpeg=True)
    found = run_check(cases.write(), capsys)
    assert (found["ok"], found["usable"], found["faults"]) == (True, 1, [])
    assert [doubt["reason"] for doubt in found["doubts"]] == ["times-disagree"]
    assert "clip_checked" in found["doubts"][0]["remedy"]


def test_a_file_that_is_no_dicom_is_none_also_without_a_preamble(cases: Cases) -> None:
    cases.clip().write_bytes(b"\x02\x00\x00\x00UL\x04\x00" + b"x" * 500)
    lines = [cases.take(cases.clip())]
    cases.clip().write_bytes(gzip.compress(b"no DICOM"))
    lines.append(cases.take(cases.clip()))
    assert list_reasons(cases.check()) == {line: ["unreadable-clip"] for line in lines}


def test_rle_frames_beyond_the_stated_number_are_told(tmp_path: Path) -> None:
    cases = Cases(tmp_path)
    path = write_clip(cases.clip(), make_pictures(0))
    data = pydicom.dcmread(path)
    data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    data.NumberOfFrames = 18
    data.save_as(path)
    line = cases.take(path)
    assert list_reasons(cases.check()) == {line: ["frames-beyond-stated"]}


def test_padding_behind_the_frames_is_no_frame(tmp_path: Path) -> None:
    cases = Cases(tmp_path)
    encoded = [encode_jpeg(picture) for picture in make_pictures(0)]
    cases.take(write_clip(cases.clip(), make_pictures(0), [*encoded[:-1], encoded[-1] + b"\0" * 6]))
    native = write_dicom(
        cases.clip(),
        make_pictures(1),
        "RGB",
        {"FrameTime": 500.0, "SequenceOfUltrasoundRegions": [region(CONTRAST_BOX), region(BMODE_BOX)]},
    )
    native.write_bytes(native.read_bytes() + b"\0" * 64)
    cases.take(native)
    assert list_reasons(cases.check()) == {}
