"""Every text of the templates, members' and staff's, is marked for translation, also where no test renders it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template.base import Lexer, TokenType

import django_ctct

ROOT = Path(django_ctct.__file__).parent / "templates"
TEMPLATES = sorted(str(one.relative_to(ROOT)) for one in ROOT.rglob("*") if one.is_file())
#: Attributes that people read or hear.
SPOKEN = {"alt", "aria-label", "aria-description", "data-label", "placeholder", "summary", "title"}
#: Names are the same in all languages.
NAMES = {"django_ctct", "Constant", "Contact"}
#: What these blocks of the admin hold is a class in an attribute.
CODE = {"block bodyclass", "block button_tone", "block coltype"}
LITERAL = re.compile(r"""\|(?:default|default_if_none|yesno):(?:"([^"]*)"|'([^']*)')""")


class Words(HTMLParser):
    """Collect what a page says."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("style", "script")
        self.found += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def unmarked(source: str) -> list[str]:
    """Return the words of a template that stand outside of ``translate`` and ``blocktranslate``."""
    plain, marked = "", False
    for token in Lexer(source).tokenize():
        name = token.contents.split(" ")[0] if token.token_type is TokenType.BLOCK else ""
        if name in ("blocktranslate", "blocktrans", "comment") or token.contents in CODE:
            marked = True
        elif name in ("endblocktranslate", "endblocktrans", "endcomment", "endblock"):
            marked = False
        elif token.token_type is TokenType.TEXT and not marked:
            plain += token.contents
        elif token.token_type is TokenType.VAR and not marked:
            plain += " ".join("".join(one) for one in LITERAL.findall(token.contents))
    words = Words()
    words.feed(plain)
    words.close()
    said = re.findall(r"[^\W\d_]{2,}", " ".join(words.found))
    return [one for one in said if one not in NAMES]


def test_unmarked_words_are_found_wherever_they_stand() -> None:
    assert unmarked("<p class='x'>{% translate 'Yes' %} <b>No</b></p>") == ["No"]
    assert unmarked('<i aria-label="Left">{% blocktranslate %}a{% plural %}b{% endblocktranslate %}</i>') == ["Left"]
    assert unmarked('<a href="{{ x }}" title="{% translate "Go" %}">{{ y|default:"none" }}</a>') == ["none"]
    assert unmarked("{% block content %}Hello{% endblock %}") == ["Hello"]
    assert unmarked("{% comment %}Note{% endcomment %}{# Note #}<style>.ctct { color: red }</style>– 7 ×") == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_text_of_a_template_is_marked_for_translation(name: str) -> None:
    assert unmarked((ROOT / name).read_text()) == []
