"""What people and assistants wrote, made safe to show, and written as Markdown and plain text.

`to_html` is for one text, `message_to_html` for all parts of a message; both give HTML that cannot run, load or
submit anything, which `chatkeep.testing` proves with hostile texts. STYLE is the look of it, for a page's style sheet.
`to_markdown` and `to_text` write the parts of a message for files. Pure: no files, no network, no clock.
Described in docs/design/rendering.md.
"""

from chatkeep.rendering.citations import Note, resolve
from chatkeep.rendering.parts import STYLE, AttachmentUrl, Showing, message_to_html, nowhere
from chatkeep.rendering.texts import markup_of, to_html
from chatkeep.rendering.written import to_markdown, to_text

__all__ = [
    "STYLE",
    "AttachmentUrl",
    "Note",
    "Showing",
    "markup_of",
    "message_to_html",
    "nowhere",
    "resolve",
    "to_html",
    "to_markdown",
    "to_text",
]
