"""Everything that is wrong with a hospital's folder, in one pass, before anything is processed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from ceus_models.runtime.errors import Fault, FaultList
from ceus_models.study.inclusion import STUDY_RULES, Inclusion
from client.data.analysis.exam_doubts import check_length, doubt_baseline
from client.data.dataset.copies import find_copies
from client.data.dataset.counted_faults import find_counted_faults
from client.data.dataset.index_report import exceeds_share, find_skipped
from client.data.dataset.row_faults import make_row_doubt, make_row_fault
from client.data.forms.site_config import SITE_FILE, SiteConfig, load_site, select_screens
from client.data.imaging.clip import ClipError, ClipInfo, probe_clip
from client.data.imaging.likeness import I8
from client.data.imaging.screen import Screen
from client.data.imaging.tint import TINTS
from client.data.outlines.outline import OutlineError, View, place_in_pane, read_outline
from client.data.table.inclusion import choose_rows
from client.data.table.manifest import read_manifest
from client.data.table.reads import read_reads
from client.data.table.rows import Files, Row
from client.data.table.suggestions import Suggestion
from client.faults.fault import count_reasons
from client.policy.policy_file import PolicyFile

OnProgress = Callable[[int, int], None]
"""Called with lesions done and lesions in all."""

_OVERLAP_S = 0.5
"""Start times are written by hand, to the half second at best."""
_OTHERS_MAY_READ = 0o077


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of checking a site's data.

    Attributes:
        usable: Lesions without a fault, and without a doubt that withholds them.
        faults: All faults, in the order of the files.
        doubts: What a person must look at before these lesions are used.
        notes: Doubts of lesions that are used all the same.
        excluded: Lesions that the study does not take, by reason.
        cohorts, types: Usable lesions by cohort and by lesion type ("blank" where none is recorded).
        reads: Usable diagnoses of reads.csv.
        withdrawn: Lesions of patients who withdrew, which are not looked at.
        skipped: Lesions that `index` would skip.
        max_skipped: The share of them that site.yaml allows.
        suggestions: Corrected cells. They hold the table's content, so they go to a local file only.
    """

    usable: int
    faults: tuple[Fault, ...]
    cohorts: Mapping[str, int]
    types: Mapping[str, int]
    reads: int = 0
    suggestions: tuple[Suggestion, ...] = field(default=(), repr=False)
    withdrawn: int = 0
    skipped: int = 0
    max_skipped: float = 1.0
    doubts: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)

    @property
    def stops_index(self) -> bool:
        """Whether `index` would stop because of the share of lesions that it skips."""
        return exceeds_share(self.skipped, self.usable + self.skipped, self.max_skipped)

    @property
    def reasons(self) -> Mapping[str, int]:
        """Number of faults by reason."""
        return count_reasons(self.faults)


@dataclass(frozen=True, eq=False)
class CheckedRow:
    """What the files of one row show.

    Attributes:
        doubts, notes: As in CheckReport.
        likeness: Digests of its clips.
    """

    faults: tuple[Fault, ...]
    doubts: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()
    likeness: tuple[I8, ...] = ()


def check_site(
    folder: Path, on_progress: OnProgress | None = None, workers: int = 2, rules: Inclusion = STUDY_RULES
) -> CheckReport:
    """Reads site.yaml, policy.yaml, the tables, and of every row the outline and the head of each clip.

    workers: threads; the report does not depend on them. rules: of the study. Raises nothing for a fault: the report
    holds them all.
    """
    of_policy = PolicyFile(folder).load_current().faults
    try:
        site = load_site(folder)
    except FaultList as error:
        return CheckReport(0, error.faults, {}, {})
    manifest = read_manifest(site).without_copies()
    rows: list[Row | Files] = sorted([*manifest.rows, *manifest.others], key=lambda row: row.line)
    checked: dict[int, CheckedRow] = {}
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for row, found in zip(rows, pool.map(lambda row: check_row(row, site), rows), strict=True):
            checked[row.line] = found
            if on_progress is not None:
                on_progress(len(checked), len(rows))
    digests = {line: found.likeness for line, found in checked.items()}
    copies = find_copies(manifest.entries, digests, manifest.file, manifest.faults)
    faults = [*manifest.faults, *copies, *(fault for found in checked.values() for fault in found.faults)]
    ordered = sorted(faults, key=lambda fault: fault.row or 0)
    against = {fault.row for found in checked.values() for fault in (*found.faults, *found.doubts)}
    against |= {fault.row for fault in copies}
    chosen = choose_rows(manifest.rows, rules)
    usable = [row for row in chosen.rows if row.line not in against]
    reads, unreadable = read_reads(site, {entry.lesion_id for entry in manifest.entries if entry.lesion_id})
    return CheckReport(
        usable=len(usable),
        faults=(*(of_policy.faults if of_policy else ()), *_check_secret(site), *ordered, *unreadable),
        cohorts=dict(Counter(row.cohort for row in usable)),
        types=dict(Counter(row.label or "blank" for row in usable)),
        reads=len(reads),
        suggestions=manifest.suggestions,
        withdrawn=manifest.withdrawn,
        skipped=len(find_skipped(ordered, chosen.reasons.keys() | {row.line for row in usable}, manifest.header_row)),
        max_skipped=site.max_skipped,
        doubts=tuple(fault for found in checked.values() for fault in found.doubts),
        notes=tuple(fault for found in checked.values() for fault in found.notes),
        excluded=chosen.excluded,
    )


def check_row(row: Row | Files, site: SiteConfig) -> CheckedRow:
    """Opens the clips and the outline of one row of the table, whatever is wrong with its other cells. Never raises:
    what goes wrong is a fault.
    """
    faults: list[Fault] = []
    screens: Sequence[Screen] = select_screens(site, row.manufacturer)
    infos: list[ClipInfo | None] = []
    for number in range(len(row.clips)):
        infos.append(_probe_row_clip(row, number, (site, screens), faults))
        first = infos[0]
        screens = (*screens, *(first.detected if number == 0 and first else ()))
    faults.extend(_find_overlaps(row, infos, site.table.name))
    faults.extend(make_row_fault(row, site, error) for error in find_counted_faults(row, infos))
    for judge in (_judge_length, _check_outline):
        try:
            judge(row, infos, site)
        except (ClipError, OutlineError) as error:
            faults.append(make_row_fault(row, site, error))
    doubts, notes = _list_doubts(row, infos, site)
    return CheckedRow(tuple(faults), doubts, notes, tuple(info.likeness for info in infos if info))


def _judge_length(row: Row | Files, infos: Sequence[ClipInfo | None], _: SiteConfig) -> None:
    """Raises ClipError. Only where all clips can be read: another one may be the long one."""
    known = [info for info in infos if info]
    if len(known) == len(row.clips):
        check_length([info.still for info in known], [info.last_s - info.first_s for info in known])


def _list_doubts(
    row: Row | Files, infos: Sequence[ClipInfo | None], site: SiteConfig
) -> tuple[tuple[Fault, ...], tuple[Fault, ...]]:
    """Those that withhold the lesion, where nobody has looked at it, and those that do not."""
    doubts: list[Fault] = []
    notes: list[Fault] = []
    for number, info in enumerate(infos, start=1):
        which = f"clip {number} of {len(row.clips)}" if len(row.clips) > 1 else ""
        for doubt in info.doubts if info else ():
            found = make_row_doubt(row.line, site, doubt, which)
            (doubts if doubt.withholds else notes).append(found)
    known = [info for info in infos if info]
    if known and len(known) == len(row.clips) and not known[0].still:
        brightest = max(info.levels[1] for info in known)
        doubts += [make_row_doubt(row.line, site, one) for one in doubt_baseline(known[0].levels[0], brightest)]
    return () if row.clip_checked else tuple(doubts), tuple(notes)


def _probe_row_clip(
    row: Row | Files, number: int, place: tuple[SiteConfig, Sequence[Screen]], faults: list[Fault]
) -> ClipInfo | None:
    """place: the site, and the templates that may fit."""
    (site, screens), spec = place, row.clips[number]
    which = f"clip {number + 1} of {len(row.clips)}"
    try:
        info = probe_clip(spec.path, spec.start_s, row.frame_rate_hz, screens, {**TINTS, **site.tints})
        return _apply_checked_rate(info, row)
    except ClipError as error:
        faults.append(make_row_fault(row, site, error, which))
    except Exception as error:
        # A file odd enough to trip a decoder costs its own row only. The exception's text may quote the file.
        faults.append(
            Fault(
                site.table.name,
                row.line,
                "clips",
                "unreadable-clip",
                "a clip can be decoded",
                f"{which}: {type(error).__name__}",
                "export the clip again and check that it plays",
            )
        )
    return None


def _apply_checked_rate(info: ClipInfo, row: Row | Files) -> ClipInfo:
    """As in the pipeline: the table's rate, where the file states another one and a person has looked at both."""
    disagree = any(doubt.reason == "times-disagree" for doubt in info.doubts)
    if not (disagree and row.clip_checked and row.frame_rate_hz):
        return info
    return replace(info, last_s=info.first_s + (info.frames - 1) / row.frame_rate_hz)


def _find_overlaps(row: Row | Files, infos: Sequence[ClipInfo | None], file: str) -> Iterator[Fault]:
    for number, (one, other) in enumerate(pairwise(infos), start=1):
        if one is None or other is None or one.last_s <= other.first_s + _OVERLAP_S:
            continue
        yield Fault(
            file,
            row.line,
            "clip_start_s",
            "clips-overlap",
            "a clip ends before the next one starts",
            f"clip {number} ends at {one.last_s:.1f} s, clip {number + 1} starts at {other.first_s:.1f} s",
            "correct clip_start_s, or frame_rate_hz if the clips play at another speed than they were taken",
        )


def _check_outline(row: Row | Files, infos: Sequence[ClipInfo | None], site: SiteConfig) -> None:
    """Raises OutlineError. Without a readable first clip only the outline's own file can be judged."""
    if row.outline is None:
        return
    outline = read_outline(row.outline.path, row.outline.frame, row.outline.pane, site.outline_labels)
    info = infos[0] if infos else None
    if info is not None:
        place_in_pane(outline, View(info.rows, info.columns, info.frames, info.contrast, info.bmode))


def _check_secret(site: SiteConfig) -> Iterator[Fault]:
    try:
        mode = site.secret_file.stat().st_mode
    except OSError:
        return  # made on first use
    if mode & _OTHERS_MAY_READ:
        rule = "only its owner can read the secret that pseudonyms are made with"
        value, remedy = f"mode {mode & 0o777:o}", "run chmod 600 on the file that secret_file names"
        yield Fault(SITE_FILE, None, "secret_file", "open-secret", rule, value, remedy)
