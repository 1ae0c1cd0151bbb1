"""Which language a person gets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.language.reader_language import ENGLISH, find_language, translate, use_language
from client.cli.main import app
from client.translation.language import choose_from_environment, load_language

LOADED = "import sys; sys.argv = ['ceus-site', '{0}']; import client.cli.main as m; m.use_environment(); print({1})"


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    use_language(ENGLISH)


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_SG.utf8"}, "zh"),
        ({"LANG": "zh_CN.GB18030@pinyin"}, "zh"),
        ({"LANG": "zh-Hans"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "en"),
        ({"LANG": "zh_HK.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "zh_CN"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "de:zh_CN:en"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "en:zh_CN"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "zh_TW:zh_CN"}, "zh"),
    ],
)
def test_the_environment_by_the_rules_of_gettext(environment: Mapping[str, str], code: str) -> None:
    assert choose_from_environment(environment) == code


def test_english_is_untouched_and_chinese_has_its_tag() -> None:
    assert load_language("en") is ENGLISH
    assert translate("a clip has frames") == "a clip has frames"
    use_language(load_language("zh"))
    assert find_language().tag == "zh-CN"
    assert translate("a clip has frames") == "影像片段应包含帧"


@pytest.mark.parametrize(("lang", "is_loaded"), [("C.UTF-8", "False"), ("zh_CN.UTF-8", "True")])
def test_the_catalogues_library_is_loaded_for_chinese_alone(lang: str, is_loaded: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format("check", "'polib' in sys.modules")],
        env={"LC_ALL": lang, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == is_loaded


def test_the_option_holds_for_errors_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["show", "/nowhere/at/all", "--lang", "zh"]) == 1
    told = capsys.readouterr().err
    assert "错误" in told
    assert "文件应存在且可读取" in told
    assert "the file exists" not in told
    assert run_app(app, ["show", "/nowhere/at/all", "--lang", "en"]) == 1
    assert "the file exists and can be read" in capsys.readouterr().err
    assert run_app(app, ["show", "/nowhere/at/all", "--lang", "fr"]) == 2
