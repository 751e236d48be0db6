"""The settings of Sphinx for the documentation site and the man pages.

Their source is the Markdown files of this folder, which a code host shows as well.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import commands

from swarm.version import VERSION

project = "swarm"
release = version = VERSION
extensions = ["myst_parser", "sphinx.ext.autodoc", "commands", "man_sections", "man_tables"]
exclude_patterns = ["extensions"]
# Straight quotes and `--` are what a user types.
smartquotes = False
highlight_language = "text"
nitpicky = True

myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

# `name` in a docstring is a name of the library; ``text`` is literal.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 100
# The build reads nothing from the network, so names of other libraries have no target.
nitpick_ignore_regex = [
    ("py:.*", r"(collections\.abc|datetime|decimal|enum|logging|pathlib|typing)(\..*)?"),
]

html_theme = "furo"
html_title = "swarm"
html_show_copyright = False
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False

man_pages = [*commands.man_pages(), ("man/swarm.ini", "swarm.ini", "the settings of swarm", "", 5)]
