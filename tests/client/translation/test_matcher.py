"""A finished text finds its template, and its values stay."""

from __future__ import annotations

import pytest

from client.translation.matcher import Matcher

MESSAGES = {
    "a clip has frames": "影像片段应包含帧",
    "{0}, found {1}": "{0}，实际为 {1}",
    "{0} row {1}": "{0} 第 {1} 行",
    "clip {0} of {1}": "影像片段 {0}（共 {1} 个）",
    "clip {0} of {1}: {2}": "影像片段 {0}（共 {1} 个）：{2}",
    "an empty file": "空文件",
    "copy it again": "请重新复制",
    "run `ceus-site index FOLDER`": "请运行 `ceus-site index FOLDER`",
    "yes": "是",
    "All done.": "完成。",
    "Look at it.": "请查看。",
    "in all {0}{1}": "合计 {0}{1}",
    "(no more)": "（没有更多）",
    "{0} GB free": "剩余 {0} GB",
    "next: {0}": "下一步：{0}",
}
TRANSLATE = Matcher(MESSAGES).translate


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("an empty file", "空文件"),
        ("a clip has frames, found an empty file", "影像片段应包含帧，实际为空文件"),
        ("a clip has frames, found x.avi; copy it again", "影像片段应包含帧，实际为 x.avi；请重新复制"),
        ("clip 1 of 3: an empty file", "影像片段 1（共 3 个）：空文件"),
        (
            "lesions.csv row 3, clips: a clip has frames, found clip 2 of 2: an empty file; copy it again",
            "lesions.csv 第 3 行，clips：影像片段应包含帧，实际为影像片段 2（共 2 个）：空文件；请重新复制",
        ),
        ("run `ceus-site index '/data/my hospital'`", "请运行 `ceus-site index '/data/my hospital'`"),
        ("run `ceus-site index FOLDER`", "请运行 `ceus-site index FOLDER`"),
        ("All done. Look at it.", "完成。请查看。"),
        ("in all 12 (no more)", "合计 12（没有更多）"),
        ("in all 12", "合计 12"),
        ("3 GB free, 4 GB free", "剩余 3 GB，剩余 4 GB"),
        ("next: run it", "下一步：run it"),
        ("2 faults:\n  a clip has frames\n  an empty file", "2 faults:\n  影像片段应包含帧\n  空文件"),
    ],
)
def test_a_text_with_its_values(text: str, said: str) -> None:
    assert TRANSLATE(text) == said


@pytest.mark.parametrize(
    "text",
    ["", "  ", "no such text", "C:\\a clip; of none", "the header of row 3", 'found "yes"', "a, b, yes"],
)
def test_what_no_template_fits_stays(text: str) -> None:
    assert TRANSLATE(text) == text


def test_a_word_alone_is_a_text_but_no_value() -> None:
    assert TRANSLATE("yes") == "是"
    assert TRANSLATE("a clip has frames, found yes") == "影像片段应包含帧，实际为 yes"
