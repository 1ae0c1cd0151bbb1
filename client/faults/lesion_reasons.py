"""The reasons for faults of clips and outlines, and of reading a lesion."""

from __future__ import annotations

from client.faults.reason import Reason

_AGAIN = "Export the clip again from the scanner or the PACS, and check that it plays."
CLIPS = (
    Reason("missing-clip", "A clip is not at the path in the table.", "Copy the file there, or correct the cell."),
    Reason(
        "unknown-clip-format", "The file format of a clip is not supported.", "Export multi-frame DICOM, AVI or MP4."
    ),
    Reason("unreadable-clip", "A clip is damaged, or its decoder rejects it.", _AGAIN),
    Reason(
        "no-frame-times",
        "A clip does not state when its frames were taken.",
        "Write the frame rate of the examination in frame_rate_hz.",
    ),
    Reason(
        "impossible-frame-times",
        "The frame times of a clip give a rate or a length that no examination has, as with FrameTime in seconds.",
        "Export the clip again, or write the true frame rate of the examination in frame_rate_hz.",
    ),
    Reason(
        "times-disagree",
        "FrameTime, CineRate, EffectiveDuration, the frames and frame_rate_hz contradict each other. The lesion is not "
        "used until a person has decided.",
        "Look at the timer on the screen. Correct frame_rate_hz or leave it blank, then write yes in clip_checked; "
        "frame_rate_hz is then used where it stands, else the file.",
    ),
    Reason(
        "perhaps-not-real-time",
        "The speed of a clip is that of a video file alone, or many frames are repeated. It is used all the same.",
        "Compare with the timer on the screen, and write the true frame_rate_hz.",
    ),
    Reason(
        "frames-beyond-stated",
        "A DICOM file holds more frames than NumberOfFrames says. The lesion is not used until a person has decided.",
        "Export the clip again; where it is complete without the other frames, write yes in clip_checked.",
    ),
    Reason(
        "colours-disagree",
        "The pixels of a DICOM file do not have the colours that PhotometricInterpretation states: levels are wrong.",
        "Export the clip again with the right tag, or as AVI or MP4.",
    ),
    Reason(
        "still-image",
        "A clip is a still image, or one picture many times.",
        "Export the cine loop of the arterial phase.",
    ),
    Reason(
        "clip-list",
        "A DICOMDIR that lists several images is named as a clip.",
        "Write the paths of the lesion's clips.",
    ),
    Reason(
        "colour-doppler",
        "A clip shows Colour Doppler and no contrast. The lesion is not used until a person has decided.",
        "List the recording in contrast mode; where it is one, write yes in clip_checked.",
    ),
    Reason(
        "implausible-depth",
        "The scale of a DICOM file makes its picture deeper or flatter than a scanner shows. It is used all the same.",
        "See whether the file was scaled by its export.",
    ),
    Reason("clip-too-long", "A clip has too many frames.", "Split it into several files."),
    Reason(
        "disk-full",
        "The disk of the work folder is too full for the temporary frames of a clip.",
        "Free disk space, or set work in site.yaml to a folder on a larger disk; then run index again.",
    ),
    Reason(
        "unknown-panes",
        "It is not clear where the contrast and B-mode panes lie on the screen.",
        "Add the screen under screens in site.yaml.",
    ),
    Reason(
        "unequal-panes",
        "The two panes of a screen in site.yaml have different sizes.",
        "Correct contrast and bmode of this screen.",
    ),
)
EXAMS = (
    Reason(
        "clips-overlap",
        "A clip ends after the next one starts.",
        "Correct clip_start_s, or frame_rate_hz if the clips play at another speed than they were taken.",
    ),
    Reason(
        "clip-too-short",
        "No clip of a lesion lasts five seconds, so none shows contrast arrive.",
        "Export the whole loop; where it plays too fast, write the true frame rate in frame_rate_hz.",
    ),
    Reason(
        "no-baseline",
        "The clips of a lesion begin when the contrast is there already, or show none. The lesion is not used until a "
        "person has decided.",
        "List the clip of the arrival first; where there is none, write yes in clip_checked to use the lesion.",
    ),
    Reason(
        "clip-repeats",
        "A clip jumps back to its first pictures: a loop was recorded more than once. The lesion is not used until a "
        "person has decided.",
        "Export one run of the loop; where it is another recording, write yes in clip_checked.",
    ),
    Reason(
        "clips-differ", "The clips of a lesion have panes of different sizes.", "List clips of one layout and depth."
    ),
    Reason("too-few-frames", "The clips of a lesion have too few frames.", "Add the cine loop of the arterial phase."),
    Reason(
        "outline-after-reinjection",
        "The outlined frame is after a second injection; frames after it are not used.",
        "Outline a frame of the first injection, or list only the clips of the second one with their times.",
    ),
    Reason(
        "track-to-be-looked-at",
        "The lesion could not be tracked reliably enough for training.",
        "Open its quality sheet; write yes in track_checked if the track is right, else outline another frame.",
    ),
)
OUTLINES = (
    Reason(
        "missing-outline",
        "An outline is not at the path in the table, or no path is given.",
        "Copy it there, or draw it.",
    ),
    Reason(
        "unknown-outline-format",
        "The file format of an outline is not supported.",
        "Export LabelMe or CVAT polygons, a mask (PNG, NIfTI), or DICOM SR or SEG.",
    ),
    Reason(
        "unreadable-outline",
        "An outline's file is damaged, or does not hold exactly one outline.",
        'Export it again with one shape, or with one that is labelled "lesion" or as outline_labels in site.yaml says.',
    ),
    Reason(
        "outline-shape",
        "The shape that is drawn encloses nothing, such as a point or a line, or its kind is not known.",
        "Outline the lesion with a polygon, a circle, a rectangle or a mask.",
    ),
    Reason("empty-outline", "An outline encloses no pixels, or a mask is empty.", "Outline the lesion again."),
    Reason(
        "outline-frame-missing",
        "Neither the table nor the file says which frame was outlined.",
        "Write the frame in outline_frame, counted from 0.",
    ),
    Reason(
        "outline-frame-open",
        "A file has outlines on several frames, and the table does not select one of them.",
        "Write the frame in outline_frame, counted from 0.",
    ),
    Reason(
        "outline-frame-disagrees",
        "The table and the file state different frames, often because one of them counts from 1.",
        "Correct outline_frame, which counts from 0, or leave it blank.",
    ),
    Reason(
        "outline-frame-beyond-clip",
        "The outlined frame is not in the first clip.",
        "Write a frame of the first clip, counted from 0.",
    ),
    Reason(
        "outline-outside-frame",
        "The outline lies outside the picture, or outside the pane that outline_pane names.",
        "Correct outline_pane, or draw it again on this clip.",
    ),
    Reason(
        "outline-pane-absent",
        "outline_pane is bmode, but the clip has no B-mode pane.",
        "Write contrast, or give the bmode box of this screen in site.yaml.",
    ),
    Reason(
        "outline-size",
        "The outline was drawn on a picture of another size than the clip or one of its panes.",
        "Draw it on an unscaled frame of the first clip.",
    ),
    Reason(
        "outline-size-missing",
        "The outline's file does not say how large the picture was that it was drawn on, which may have been scaled.",
        "Export it with the picture's size; in LabelMe that is imageHeight and imageWidth.",
    ),
)
READING = (
    Reason(
        "reading-failed",
        "Reading a lesion stopped with an unexpected error.",
        "Export its clips and its outline again; if that does not help, report the error and the line in the message.",
    ),
    Reason(
        "reading-crashed",
        "A decoder crashed its process; the other lesions were read.",
        "Export the clips again, in another compression if the scanner offers one.",
    ),
    Reason(
        "reading-too-long",
        "Reading a lesion exceeded the time limit.",
        "Export the clips again; if that does not help, split the longest one into several files.",
    ),
    Reason(
        "reading-too-large",
        "Reading a lesion exceeded the memory limit of a worker.",
        "Export the clips again; if that does not help, split the longest one, or use fewer --workers.",
    ),
)
