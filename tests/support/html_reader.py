"""Reads pages back, and texts that try to break out of HTML."""

from __future__ import annotations

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Reads HTML back: its elements with their attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "</style><!--",
    "&lt;b&gt;",
    "]]>",
    "line\nbreak\r\t\0",
    "gpj.\u202eexe",
)
