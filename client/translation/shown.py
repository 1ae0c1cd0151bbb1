"""Which texts of the code a site shows to people: folders and modules, and the few words that stand alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ceus_models.bundle.model_card import RESEARCH_ONLY

ROOT = Path(__file__).parents[2]

SHOWN = (
    "client",
    "ceus_models/bundle/model_bundle.py",
    "ceus_models/metrics/ood.py",
    "ceus_models/pki",
    "ceus_models/plan/words",
    "ceus_models/runtime/commands/lazy_commands.py",
    "ceus_models/runtime/errors.py",
    "ceus_models/runtime/exit_codes.py",
    "ceus_models/runtime/findings.py",
    "ceus_models/runtime/humanize.py",
    "ceus_models/runtime/liveness/moment.py",
    "ceus_models/runtime/progress_bar.py",
    "ceus_models/runtime/yaml_lines.py",
    "ceus_models/study/inclusion.py",
    "ceus_models/study/taxonomy.py",
    "ceus_models/web",
)
"""Modules, and folders with all below them."""

NOT_SHOWN: Mapping[str, str] = {
    "client/cli/handbook.py": "writes the documentation; its own words are in HANDBOOK_WORDS",
    "client/cli/main.py": "help, which is English",
    "client/courier/client_app.py": "what the coordinator and logs are told",
    "client/courier/forked_task.py": "logs",
    "client/courier/runner.py": "logs",
    "client/courier/supernode.py": "logs",
    "client/data/imaging/manufacturers.py": "values of DICOM",
    "client/data/sheets": "drawings: matplotlib has no Chinese letters without a font",
    "client/data/table/synonyms.py": "values of tables",
    "client/predict/as_json.py": "JSON",
    "client/predict/pdf_sheet.py": "a drawing",
    "client/service/service.py": "logs",
    "client/translation": "its own command",
    "client/worker/privacy/boxes.py": "what the coordinator is told",
    "client/worker/privacy/keys.py": "what the coordinator is told",
    "client/worker/privacy/masking.py": "what the coordinator is told",
    "client/worker/privacy/noise.py": "what the coordinator is told",
    "client/worker/privacy/openings.py": "what the coordinator is told",
    "client/worker/privacy/plan_binding.py": "what the coordinator is told",
    "client/worker/privacy/release.py": "what the coordinator is told",
    "client/worker/privacy/sessions.py": "what the coordinator is told",
    "client/worker/privacy/spending_picture.py": "a drawing",
    "client/worker/privacy/study_facts.py": "what the coordinator is told",
    "client/worker/privacy/task_checks.py": "what the coordinator is told",
    "client/worker/process.py": "logs",
    "client/worker/rate_limit.py": "what the coordinator is told",
    "client/worker/site/round_quota.py": "what the coordinator is told",
    "client/worker/site/site.py": "what the coordinator is told",
    "client/worker/tasks": "what the coordinator is told",
}
"""Below them: module or folder → where its texts go."""

TITLED = ("Table", "make_ok", "make_note", "make_fault", "Finding")
"""Calls whose texts are shown by themselves, also where they are one word."""
PAGES = ("_page", "show", "page")
"""Calls that make a page: a word with a capital letter is its title, another one its template."""

NO_TEXTS = (
    "default-src 'none'",
    "default-src 'none';",
    "script-src 'self'",
    "connect-src 'self';",
    "style-src 'self'",
    "img-src data:",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    '<code class="command">{0}</code>',
    '<span class="remedy">{0}</span>',
    "studies",
    "privacy.{0}",
    "client.console",
    "{0}.html",
    "Value error,",
    "%Y-%m-%d %H:%M UTC",
    "(os error {0})",
    "{0}:{1} in {2}",
    "{0}.jsonl",
    "PALETTE COLOR",
    "ceus-site check",
    "| reason | what it means | what to do |",
)
"""What looks like a text and is none: headers, markup, names that the code compares."""

WORDS = (
    # of tables and labels, and what a label says
    *("all", "any", "none", "always", "nothing", "yes", "no", "male", "female", "found", "other"),
    *("introduction", "tally", "training", "evaluation", "processing", "deadlines", "nets", "screening"),
    # parts of a plan
    *("{0}: introduction", "{0}: tally", "{0}: evaluation", "{0}: training, {1} rounds", "{0}: training, {1} round"),
    "{0}: rounds {1} → {2}",
    *("every round on {0}", "every {0} rounds on {1}", "momentum {0}", "weight decay {0}", "proximal µ {0}"),
    "ResNet{0} over frames, ResNet{1} over flow, width {2}, {3} norm{4}",
    *("Privacy of training", "Privacy of statistics", "Privacy of evaluation"),
    # parts of an answer, which are names of variables with blanks
    *("age", "sex", "viral hepatitis", "malignancy history", "cirrhosis", "fatty liver", "tumor size"),
    *("disease nets", "biomarker nets", "directions", "{0} years", "peak {0} s", "arrival {0} s"),
    *("peak enhancement {0} dB", "time to peak {0} s", "rise time {0} s", "mean transit time {0} s", "fall time {0} s"),
    RESEARCH_ONLY,
    *("albumin", "platelets", "creatinine", "alpha-fetoprotein", "arrival", "peak"),
    *("alpha-fetoprotein, {0} to {1}", "albumin, {0} to {1}", "platelets, {0} to {1}", "creatinine, {0} to {1}"),
    # of the worklist, and kinds of files of an export
    *("Done", "clip", "still", "video", "picture", "document", "archive", "vanished", "perhaps"),
    # of the progress of a command
    *("checking", "indexing", "drawing", "predicting", "left", "{0}: {1} of {2}, about {3} left"),
    # sections of the handbook
    *("Cells", "Clips", "Outlines"),
    # kinds of entries of the audit, and the mark of a finding
    *("answer", "refusal", "task", "layout", "start", "stop", "FAULT", "index"),
    *("action {0}, bundle {1}, by {2}, name {3}", "action {0}", "by {0}", "name {0}", "study {0}"),
    # tabs of the console, in a table
    *("Now", "Approval", "Audit", "Index"),
    # what a worker does
    *("working for {0} s, {1} requests answered", "waiting for {0} s, {1} requests answered"),
    *(
        "{0}, found nothing",
        "clip {0} of {1}: {2}",
        "{0} (not shown)",
        "the same in rows {0} (not shown)",
        "{0} faults:",
        "1 fault:",
    ),
    # of the handbook's tables
    *("what stands in it", "example", "reason", "what it means", "The column may be left out."),
    "{0}, and DICOM files without a suffix.",
    # of the operating system
    *("No such file or directory", "Permission denied", "Is a directory", "No space left on device"),
    *("Connection refused", "Read-only file system"),
)
"""Texts that nothing in the source marks as such: words alone, texts with one of their values, what systems say."""


def list_modules() -> Iterator[Path]:
    """Every module whose texts are shown."""
    for place in SHOWN:
        found = ROOT / place
        for path in sorted(found.rglob("*.py")) if found.is_dir() else [found]:
            if not any(path.is_relative_to(ROOT / hidden) for hidden in NOT_SHOWN):
                yield path


def list_pages() -> Iterator[Path]:
    """Every template of a page."""
    for place in ("client", "ceus_models/web"):
        yield from sorted((ROOT / place).rglob("pages/*.html"))
