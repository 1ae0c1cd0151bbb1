"""The console in the language of its reader: by a link, kept by a cookie, without a script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_site_console import SiteDesk, hospital

from ceus_models.runtime.language.reader_language import speaking
from client.console.app import PAGES
from client.console.language_switch import COOKIE
from client.translation.language import load_language

ENGLISH = re.compile(r"(?:[A-Za-z]{2,} ){3,}[a-z]{2,}")
"""A sentence."""
NO_TEXT = re.compile(r"<(style|code|title)\b.*?</\1>|<[^>]*>", re.DOTALL)
OF_FILES = ("Made-up lesions of a test, no patient is behind them", "not approved here")
"""What the hospital's policy and a refusal say in their own words."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hospital(tmp_path_factory.mktemp("console"))


@pytest.fixture
def there(folder: Path) -> SiteDesk:
    desk = SiteDesk(folder)
    desk.sign_in()
    return desk


def english_of(page: str) -> list[str]:
    """Sentences that stayed English."""
    text = NO_TEXT.sub("\n", page)
    for words in OF_FILES:
        text = text.replace(words, "")
    return [found[0] for found in ENGLISH.finditer(text)]


def test_every_page_is_chinese_where_it_is_asked_for(there: SiteDesk) -> None:
    for path, _, _ in PAGES:
        page = there.get(path.replace("{number:int}", "7") + "?lang=zh").text
        assert '<html lang="zh-CN"' in page, path
        assert "站点控制台" in page, path
        if "number" not in path:  # an entry of the audit is shown as it was written
            assert english_of(page) == [], path


def test_english_is_usual_and_has_sentences(there: SiteDesk) -> None:
    page = there.get("/").text
    assert '<html lang="en"' in page
    assert english_of(page) != []
    assert re.search(r'<a href="/\?lang=zh" lang="zh-CN">简体中文</a>', page)
    assert re.search(r'<a href="/\?lang=en" lang="en" aria-current="true">English</a>', page)


def test_a_choice_is_kept_by_a_cookie(there: SiteDesk) -> None:
    chosen = there.get("/audit?lang=zh").headers["set-cookie"]
    assert chosen == f"{COOKIE}=zh; Path=/; SameSite=Strict; HttpOnly"
    there.cookie += f"; {COOKIE}=zh"
    assert '<html lang="zh-CN"' in there.get("/").text
    assert '<html lang="en"' in there.get("/?lang=en").text
    assert "set-cookie" not in there.get("/").headers


@pytest.mark.parametrize("code", ["fr", "zh-TW", "<b>", "../en", ""])
def test_another_language_changes_nothing(there: SiteDesk, code: str) -> None:
    answer = there.get(f"/audit?lang={code}")
    assert '<html lang="en"' in answer.text
    assert "set-cookie" not in answer.headers


def test_a_refused_form_is_answered_in_its_language(there: SiteDesk) -> None:
    there.cookie += f"; {COOKIE}=zh"
    answer = there.post("/forget", {"form": there.session.form, "patient_id": "nobody"})
    assert answer.status == 409
    assert "未执行任何操作" in answer.text
    assert english_of(answer.text) == []


def test_what_a_button_sends_is_not_translated(there: SiteDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.console.app.find_names", lambda site: {"ab" * 32: "training"})
    page = there.get("/?lang=zh").text
    assert 'name="study" value="training"' in page
    assert "<span>training</span>" in page


def test_the_language_of_the_command_is_the_consoles(folder: Path) -> None:
    with speaking(load_language("zh")):
        desk = SiteDesk(folder)
    desk.sign_in()
    assert '<html lang="zh-CN"' in desk.get("/").text
