"""Tables of a man page as lists, because a terminal is too narrow for their columns.

The first cell of a row is the term, and the last one the text. The others follow the text, each
with the name of its column.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class TablesAsLists(SphinxPostTransform):
    """Replace each table of a man page by a definition list."""

    builders = ("man",)
    default_priority = 100

    def run(self, **_: object) -> None:
        """Replace the tables of the document."""
        for table in list(self.document.findall(nodes.table)):
            heads, *rows = (list(row.findall(nodes.entry)) for row in table.findall(nodes.row))
            names = [head.astext() for head in heads]
            table.replace_self(nodes.definition_list("", *(_item(names, cells) for cells in rows)))


def _item(names: list[str], cells: list[nodes.entry]) -> nodes.definition_list_item:
    """Return the item of a row."""
    term, *facts, text = (_inline(cell) for cell in cells)
    body = nodes.definition("", nodes.paragraph("", "", *text))
    for name, fact in zip(names[1:-1], facts, strict=True):
        if fact:
            body += nodes.paragraph("", "", nodes.Text(f"{name.capitalize()}: "), *fact)
    return nodes.definition_list_item("", nodes.term("", "", *term), body)


def _inline(cell: nodes.entry) -> list[nodes.Node]:
    """Return copies of what the paragraphs of a cell contain."""
    return [node.deepcopy() for part in cell.findall(nodes.paragraph) for node in part]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_post_transform(TablesAsLists)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
