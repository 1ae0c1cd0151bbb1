"""Which language a person reads: the option --lang, else what the environment says by the rules of gettext.

The catalogue, and the library that reads it, are loaded where Chinese is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module

import click
from typer.core import TyperOption

from ceus_models.runtime.language.reader_language import ENGLISH, Language, use_language

CODES: Mapping[str, str] = {"en": "English", "zh": "简体中文"}
"""As --lang takes them, and each language's own name."""
_SIMPLIFIED = ("cn", "sg", "my", "hans")
_NO_LANGUAGE = ("", "c", "posix")


def load_language(code: str) -> Language:
    """code: one of CODES."""
    return ENGLISH if code == "en" else _load_chinese()


def choose_from_environment(environment: Mapping[str, str]) -> str:
    """One of CODES.

    >>> choose_from_environment({"LANG": "zh_CN.UTF-8"}), choose_from_environment({"LANG": "zh_TW.UTF-8"})
    ('zh', 'en')
    """
    named = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in named if name), "")
    if locale.partition(".")[0].casefold() in _NO_LANGUAGE:
        return "en"
    wished = [*environment.get("LANGUAGE", "").split(":"), locale]
    return next((code for name in wished if (code := _find_code(name))), "en")


def use_environment() -> None:
    """Speak from now on as the environment says."""
    use_language(load_language(choose_from_environment(os.environ)))


def make_option() -> TyperOption:
    """The option --lang of a command; it holds from there on, over the environment."""

    def choose(context: click.Context, parameter: click.Parameter, code: str | None) -> None:
        if code is not None:
            use_language(load_language(code))

    return TyperOption(
        param_decls=["--lang"],
        type=click.Choice(list(CODES)),
        callback=choose,
        is_eager=True,
        expose_value=False,
        help="Language of what is printed and shown; by default the one of LANG.",
    )


def _find_code(name: str) -> str:
    """The code of a locale's name, "" for a language that there is not. Traditional Chinese is another one."""
    parts = name.partition(".")[0].partition("@")[0].replace("-", "_").casefold().split("_")
    if parts[0] == "zh":
        return "zh" if len(parts) == 1 or parts[1] in _SIMPLIFIED else ""
    return parts[0] if parts[0] in CODES else ""


@cache
def _load_chinese() -> Language:
    language: Language = import_module("client.translation.catalogue").load_language()
    return language
