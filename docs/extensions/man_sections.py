"""The directive ``reference-section``, for man pages: a section of the reference without links.

The pages of the folder ``man`` consist of such sections, so the site does not have them.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.util.typing import OptionSpec

_REFERENCE = Path(__file__).parents[1] / "reference.md"


class ReferenceSection(SphinxDirective):
    """A section of the reference; the option ``title`` is its heading here.

    Links are left out: a man page can't follow them.
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar["OptionSpec"] = {"title": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the section."""
        heading = self.arguments[0]
        self.env.note_dependency(str(_REFERENCE))
        text = _REFERENCE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
        if not text:
            raise self.error(f"{_REFERENCE.name} has no section {heading}")
        text = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", text.partition("\n## ")[0])
        text = f"## {self.options.get('title', heading)}\n\n{text}"
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _note_builder(app: Sphinx) -> None:
    """Tell the directives whether man pages are built; leave those out of the site."""
    app.config.builds_man_pages = app.builder.name == "man"
    if not app.config.builds_man_pages:
        app.config.exclude_patterns.append("man/*")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, and the setting ``builds_man_pages``."""
    app.add_config_value("builds_man_pages", default=False, rebuild="env")
    app.connect("builder-inited", _note_builder)
    app.add_directive("reference-section", ReferenceSection)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
