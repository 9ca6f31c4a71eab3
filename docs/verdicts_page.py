"""Write verdicts.md: each form of message, what it means, a program that gets it and the same one mended.

    python docs/verdicts_page.py

The programs are those of ``tests/verifier/explanations``, so that what the page shows is what is tested. A test
fails when the page does not say what they and ``skep.verifier.explaining.messages`` say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path(__file__).with_name("verdicts.md")

sys.path.insert(0, str(ROOT))

from tests.verifier.explained import Case, cases  # noqa: E402

from skep.verifier.explaining.case import MessageForm  # noqa: E402
from skep.verifier.explaining.messages import FORMS  # noqa: E402

_HEAD = """# What the verifier says, and what it means

Written by `docs/verdicts_page.py` from the programs in `tests/verifier/explanations`: every one that is called
rejected here is rejected with that message, by skep and by Linux 6.18, and every mended one is accepted by both.
`skep verify` says more of your program than this page can: where the values at fault came from, and which change
would help.

"""


def page() -> str:
    """The whole page."""
    shown = _by_form()
    text = _HEAD
    categories: dict[str, list[MessageForm]] = {}
    for row in FORMS:
        categories.setdefault(row.category, []).append(row)
    for category, rows in categories.items():
        if not any(id(row) in shown for row in rows):
            continue
        text += f"## {category.capitalize()}\n\n"
        for row in rows:
            for case in shown.get(id(row), ()):
                text += _entry(row, case)
    rest = [row for row in FORMS if id(row) not in shown]
    text += (
        "## Other messages\n\nThese are explained too; N stands for a number.\n\n| message | meaning |\n|---|---|\n"
    )
    for row in rest:
        forms = "<br>".join(f"`{form}`" for form in readable(row.pattern.pattern))
        text += f"| {forms} | {_without_facts(row.problem)} |\n"
    return text


def _by_form() -> dict[int, list[Case]]:
    found: dict[int, list[Case]] = {}
    for case in cases():
        for row in FORMS:
            if row.pattern.fullmatch(case.message):
                found.setdefault(id(row), []).append(case)
                break
    return found


def _entry(row: MessageForm, case: Case) -> str:
    match = row.pattern.fullmatch(case.message)
    assert match is not None
    groups = {name: value or "" for name, value in match.groupdict().items()}
    language = "c" if case.language == "c" else "asm"
    about = f" ({case.type} program)" if case.language != "c" else ""
    return (
        f"### `{case.message}`\n\n"
        f"{row.problem.format_map(groups)} {row.reason.format_map(groups)}\n\n"
        f"What to do: {row.suggestion.format_map(groups)}\n\n"
        f"Rejected{about}, {case.name}:\n\n```{language}\n{_dedented(case.bad)}\n```\n\n"
        f"Accepted:\n\n```{language}\n{_dedented(case.good)}\n```\n\n"
    )


def _dedented(text: str) -> str:
    lines = text.splitlines()
    indent = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:] for line in lines)


def _without_facts(text: str) -> str:
    return re.sub(r"\{(\w+)\}", "…", text).replace("|", "\\|")


def readable(pattern: str) -> Iterator[str]:
    """The alternatives of a pattern, as text with N for numbers and … for names."""
    for form in _alternatives(pattern):
        text = form
        while (simpler := re.sub(r"\((?:\?P<\w+>|\?:)?([^()]*)\)[?*]?", _placeholder, text)) != text:
            text = simpler
        text = re.sub(r"-\?\\d\+|\\d\+?", "N", text)
        text = re.sub(r"\[\^?[^\]]*\][+*]|\\w\+|\\S\+|\.[*+]", "…", text)
        yield text.replace("\\", "").replace("|", "/").replace("??", "").rstrip("?")


def _placeholder(match: re.Match[str]) -> str:
    inner = match[1]
    if "\\d" in inner and "|" not in inner:
        return "N"
    return "…" if re.search(r"\\[wS]|\.[*+]|\[", inner) else inner.replace("|", "/")


def _alternatives(pattern: str) -> Iterator[str]:
    depth, start, place = 0, 0, 0
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            place += 2
            continue
        depth += char in "(["
        depth -= char in ")]"
        if char == "|" and not depth:
            yield pattern[start:place]
            start = place + 1
        place += 1
    yield pattern[start:]


if __name__ == "__main__":
    PAGE.write_text(page())
