"""The printed book (`make pdf`): the pages' structure and look, put into LaTeX.

Sphinx's LaTeX knows neither parts nor the statements, exercises and cards of these pages,
cannot include SVG, and would print the code that the pages fold away. Nothing here
touches a build of another kind. It is LuaLaTeX, because code and prose hold characters that
no one font has: it takes what the first lacks from the next.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from page_foot import page_foot
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx.util import logging
from sphinx_exercise.nodes import is_exercise_node, is_solution_node
from sphinx_proof.nodes import proof_node

logger = logging.getLogger(__name__)

FONTS = r"""
\usepackage{unicode-math}
\directlua{luaotfload.add_fallback("others", {
  "file:texgyrepagella-math.otf:mode=node;", "file:DejaVuSans.ttf:mode=node;"})}
\directlua{luaotfload.add_fallback("othersmono", {"file:DejaVuSans.ttf:mode=node;"})}
\setmainfont{texgyrepagella}[Extension=.otf, UprightFont=*-regular, ItalicFont=*-italic,
  BoldFont=*-bold, BoldItalicFont=*-bolditalic, RawFeature={fallback=others}]
\setsansfont{texgyreheros}[Extension=.otf, UprightFont=*-regular, ItalicFont=*-italic,
  BoldFont=*-bold, BoldItalicFont=*-bolditalic, Scale=0.92, RawFeature={fallback=others}]
\setmonofont{DejaVuSansMono}[Extension=.ttf, UprightFont=*, ItalicFont=*-Oblique,
  BoldFont=*-Bold, BoldItalicFont=*-BoldOblique, Scale=0.82,
  RawFeature={fallback=othersmono}]
\setmathfont{texgyrepagella-math.otf}
"""

PREAMBLE = r"""
\usepackage[skins,breakable]{tcolorbox}
\usepackage{microtype}
\definecolor{quiet}{HTML}{5A6B7B}

\titleformat{\chapter}[display]{\normalfont\sffamily\bfseries\huge}
  {\normalsize\color{quiet}\chaptertitlename\ \thechapter}{6pt}{\raggedright}
\titlespacing*{\chapter}{0pt}{0pt}{24pt}
\titleformat{\part}[display]{\normalfont\sffamily\bfseries\Huge\centering}
  {\Large\color{quiet}\partname\ \thepart}{12pt}{}

% Statements and exercises: a rule at the side, as on the pages.
\newtcolorbox{statement}[1]{breakable, blanker, left=9pt, before skip=10pt,
  after skip=10pt, borderline west={2pt}{0pt}{quiet!60},
  before upper={\textbf{#1.}\enspace\ignorespaces}, parbox=false}
\newenvironment{printedproof}[1]
  {\par\addvspace{6pt}\noindent\textit{#1.}\enspace\ignorespaces}
  {\unskip\nobreak\hfill\penalty50\hskip1em\null\nobreak\hfill$\square$\par\addvspace{8pt}}
\newenvironment{printedsolution}[1]
  {\par\addvspace{6pt}\noindent\textbf{#1.}\enspace\ignorespaces}{\par\addvspace{8pt}}

% Authors and years are cited, so entries need no labels.
\renewenvironment{sphinxthebibliography}[1]
  {\begin{list}{}{\leftmargin=1.5em\itemindent=-1.5em\itemsep=4pt}\sloppy}{\end{list}}

% Figures leave a margin, cells of tables are not stretched, pages fill better.
\let\wholeline\sphinxincludegraphics
\renewcommand{\sphinxincludegraphics}[2][]{{\linewidth=.88\linewidth\wholeline[#1]{#2}}}
\newcolumntype{T}{L}
\setlength{\tymin}{5em}
\makeatletter
\AtBeginDocument{\spx@image@maxheight=.5\textheight}
\let\largecaption\@makecaption
\renewcommand{\@makecaption}[2]{\largecaption{\small#1}{\small#2}}
\makeatother
\setlength{\intextsep}{8pt}
\setlength{\columnsep}{24pt}
\AtBeginEnvironment{sphinxtheindex}{\raggedright}
\titlespacing*{\section}{0pt}{3ex plus 1ex minus .2ex}{.6ex}
\titlespacing*{\subsection}{0pt}{2.5ex plus 1ex minus .2ex}{.4ex}
\setlength{\emergencystretch}{3em}
\clubpenalty=1000
\widowpenalty=1000
\predisplaypenalty=1000
\AtBeginDocument{\renewcommand{\contentsname}{Contents}}
"""

TITLE = r"""
\hypersetup{pdftitle={TITLE}, pdfauthor={AUTHOR}}
\begin{titlepage}
\hypersetup{pageanchor=false}
\sffamily\centering
\null\vfill
{\Huge\bfseries TITLE\par}
\bigskip
{\Large An executable book, printed\par}
\vfill
{\large AUTHOR\par}
\vfill
{\small MADE OF\par}
\end{titlepage}
\hypersetup{pageanchor=true}
"""

# How tables of more columns than these are set, the widest first.
TYPE = {
    8: r"\scriptsize\setlength{\tabcolsep}{2.5pt}\setlength{\tymin}{3em}",
    5: r"\footnotesize\setlength{\tabcolsep}{4pt}\setlength{\tymin}{5.4em}",
}

NOTE = (
    "These are the book's pages on paper. Code that they fold away, most of it for "
    "drawing, is left out here; solutions follow their exercises; of a picture under "
    "sliders one frame stands. The title page says what made this copy."
)


def configure(app: Sphinx, config: Config) -> None:
    """Set what LaTeX is told."""
    config.latex_use_xindy = False
    config.latex_domain_indices = False
    title = TITLE.replace("TITLE", config.html_title).replace("AUTHOR", config.author)
    config.latex_show_urls = "footnote"
    config.latex_elements = {
        "papersize": "a4paper",
        "pointsize": "11pt",
        "extraclassoptions": "oneside,openany",
        "geometry": r"\usepackage[hmargin=25mm,vmargin=28mm,headheight=14pt]{geometry}",
        "babel": r"\usepackage[english]{babel}",
        "polyglossia": "",
        "fncychap": "",
        "fontpkg": FONTS,
        "fvset": r"\fvset{fontsize=\footnotesize}",
        "figure_align": "H",  # floats and the frames around code break each other's pages
        "sphinxsetup": "verbatimwithframe=false,VerbatimColor={RGB}{245,246,248},"
        "InnerLinkColor={RGB}{15,80,160},OuterLinkColor={RGB}{15,80,160},"
        "TitleColor={RGB}{0,0,0},hmargin=25mm",
        "preamble": PREAMBLE,
        "maketitle": title.replace("MADE OF", re.sub("<.*?>", "", page_foot(None))),
        "tocdepth": r"\setcounter{tocdepth}{1}",
    }


class VectorConverter(ImageConverter):
    """From SVG, which LaTeX cannot include, to PDF."""

    conversion_rules = [("image/svg+xml", "application/pdf")]  # noqa: RUF012
    default_priority = 100

    def is_available(self) -> bool:
        """Say yes: the Makefile has checked for the program."""
        return True

    def convert(self, source: Any, target: Any) -> bool:
        """Convert one figure."""
        command = ["rsvg-convert", "--format=pdf", "--output", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            logger.warning("%s cannot be converted: %s", source, done.stderr)
        return done.returncode == 0


class printed(nodes.General, nodes.Element):
    """A LaTeX environment around its children; the first may be its title."""


class printed_title(nodes.Part, nodes.TextElement):
    """The title of an environment, its argument."""


def visit_printed(self: Any, node: printed) -> None:
    """Open the environment, where references to it point."""
    self.body.append("\n\n" + "".join(self.hypertarget(id_) for id_ in node["ids"]))
    # References to exercises have a name of their own.
    self.body.extend(
        self.hypertarget(f"exercise:{id_}", withdoc=False)
        for id_ in (node["ids"] if node["kind"] == "exercise" else [])
    )
    self.body.append(rf"\begin{{{node['environment']}}}")
    self.no_latex_floats += 1


def depart_printed(self: Any, node: printed) -> None:
    """Close the environment, in the last paragraph's line."""
    while not self.body[-1].strip():
        self.body.pop()
    self.body.append(f"\n\\end{{{node['environment']}}}\n\n")
    self.no_latex_floats -= 1


def visit_printed_title(self: Any, node: printed_title) -> None:
    """Open the argument."""
    self.body.append("{")


def depart_printed_title(self: Any, node: printed_title) -> None:
    """Close the argument."""
    self.body.append("}")  # the first paragraph goes on in the line of the title


class printed_link(nodes.Inline, nodes.TextElement):
    """A link of the bibliography: it says itself where it leads, without a footnote."""


def visit_printed_link(self: Any, node: printed_link) -> None:
    """Begin the link."""
    self.body.append(rf"\sphinxhref{{{self.encode_uri(node['refuri'])}}}{{")


def depart_printed_link(self: Any, node: printed_link) -> None:
    """End the link."""
    self.body.append("}")


class printed_entry(nodes.General, nodes.Element):
    """An entry of the bibliography."""


def visit_printed_entry(self: Any, node: printed_entry) -> None:
    """Begin an item, where citations point."""
    page = self.curfilestack[-1]
    targets = [rf"\hypertarget{{cite.{page}:{id_}}}{{}}" for id_ in node["ids"]]
    self.body.append("\n\\item" + "".join(targets))


def depart_printed_entry(self: Any, node: printed_entry) -> None:
    """End an item, which needs nothing."""


def _raw(text: str) -> nodes.raw:
    return nodes.raw("", f"\n{text}\n", format="latex")


class Structure(SphinxPostTransform):
    """A preface, parts, and chapters, in place of chapters inside the first page."""

    default_priority = 1
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Take the assembled book apart and put it together again."""
        document = self.document
        preface = document[0]
        files = {
            file["docname"]: file
            for file in preface.findall(addnodes.start_of_file)
            if file.parent.parent is preface
        }
        for file in files.values():
            wrapper = file.parent
            wrapper.remove(file)
            if not wrapper.children and wrapper.parent:
                wrapper.parent.remove(wrapper)
        # LaTeX takes the first title for that of the book.
        book = nodes.section("", nodes.title("", nodes.Text(self.config.html_title)))
        preface[0].children = []
        preface[0] += nodes.Text("About this book")
        preface.insert(1, nodes.paragraph("", NOTE))
        content: list[nodes.Node] = [book, _raw(r"\setcounter{secnumdepth}{-2}"), preface]
        for part in self.env.external_site_map.root.subtrees:
            depth = 1 if part.numbered else -2
            content += [
                _raw(r"\setcounter{secnumdepth}{1}"),
                _raw(rf"\part{{{part.caption}}}"),
                _raw(rf"\setcounter{{secnumdepth}}{{{depth}}}"),
            ]
            content += [files.pop(str(item)) for item in part.items]
        assert not files, f"in no part: {list(files)}"
        document.children = []
        document += content


class Pages(SphinxPostTransform):
    """What belongs to the screen, as it is on paper."""

    default_priority = 2
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Drop folded code and make a list of the cards."""
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") == "cell_code" and cell.get("hide_mode"):
                for source in list(cell.children):
                    if source.get("nb_element") == "cell_code_source":
                        cell.remove(source)
        for grid in list(self.document.findall(_component("grid-container"))):
            cards = nodes.bullet_list()
            for card in grid.findall(_component("card")):
                title = next(card.findall(_component("card-title"))).astext()
                text = next(card.findall(nodes.paragraph)).children
                link = next(card.findall(addnodes.pending_xref))
                parts = [nodes.strong("", f"{title}."), nodes.Text(" "), *text]
                parts += [nodes.Text(" ("), link, nodes.Text(")")]
                cards += nodes.list_item("", nodes.paragraph("", "", *parts))
            grid.replace_self(cards)


class Tables(SphinxPostTransform):
    """Wide tables in small type; another sign for one that no font here has."""

    default_priority = 300
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Set tables in their type, and replace the sign."""
        for table in list(self.document.findall(nodes.table)):
            columns = len(list(table.findall(nodes.colspec)))
            small = next((TYPE[most] for most in TYPE if columns > most), "")
            at = table.parent.index(table)
            table.parent.insert(at + 1, _raw(r"\endgroup"))
            table.parent.insert(at, _raw(rf"\begingroup{small}"))
        for text in list(self.document.findall(nodes.Text)):
            if "✅" in text:
                text.parent.replace(text, nodes.Text(text.replace("✅", "✓")))


def _component(name: str) -> Any:
    return lambda node: (
        isinstance(node, nodes.container) and node.get("design_component") == name
    )


def _flat(node: nodes.Element) -> Iterator[nodes.Node]:
    # The extensions wrap what a statement says in a section.
    for child in node.children:
        if isinstance(child, nodes.section):
            yield from child.children
        else:
            yield child


class Statements(SphinxPostTransform):
    """Statements, exercises, solutions and proofs in environments of their own."""

    default_priority = 300
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Replace the nodes."""
        for node in list(self.document.findall(nodes.Element)):
            if node.get("realtype"):
                self.replace(node, "statement", self.statement(node))
            elif is_exercise_node(node):
                self.replace(node, "statement", node[0].children, kind="exercise")
            elif is_solution_node(node):
                self.replace(node, "printedsolution", node[0].children)
            elif isinstance(node, proof_node):
                admonition = node[0]
                first = admonition[0][0]
                assert first.startswith("Proof. ")
                admonition[0].replace(first, nodes.Text(first.removeprefix("Proof. ")))
                admonition.insert(0, nodes.title("", "Proof"))
                admonition["ids"] = []
                self.replace(admonition, "printedproof", admonition[0].children)

    def statement(self, node: nodes.Element) -> list[nodes.Node]:
        """Its name, its number and its title."""
        page = node
        while "docname" not in page:
            page = page.parent
        numbers = self.env.toc_fignumbers[page["docname"]][node["countertype"]]
        number = ".".join(map(str, numbers[node["label"]]))
        return [nodes.Text(f"{node['realtype'].title()} {number}"), *node[0].children]

    def replace(self, node: nodes.Element, name: str, title: Any, kind: str = "") -> None:
        """Put the content, without its first child, into an environment."""
        content = list(_flat(node))[1:]
        environment = printed("", environment=name, kind=kind, ids=node["ids"])
        environment += printed_title("", "", *title)
        environment += content
        node.replace_self(environment)


class Entries(SphinxPostTransform):
    """The bibliography where its page has it, rather than after everything."""

    default_priority = 399  # before Sphinx makes footnotes of addresses
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        """Replace the entries and put the environment around them."""
        entries = list(self.document.findall(nodes.citation))
        for entry in entries:
            holder = printed_entry("", *entry[1].children, ids=entry["ids"])
            entry.replace_self(holder)
            for link in list(holder.findall(nodes.reference)):
                link.replace_self(
                    printed_link("", "", *link.children, refuri=link["refuri"])
                )
        if entries:
            container = holder.parent
            container.insert(0, _raw(r"\begin{sphinxthebibliography}{}"))
            container += _raw(r"\end{sphinxthebibliography}")


def begin(app: Sphinx) -> None:
    """Take part in LaTeX builds only."""
    if app.builder.format == "latex":
        for transform in (
            VectorConverter,
            Structure,
            Pages,
            Statements,
            Tables,
            Entries,
        ):
            app.add_post_transform(transform)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_node(printed, latex=(visit_printed, depart_printed))
    app.add_node(printed_title, latex=(visit_printed_title, depart_printed_title))
    app.add_node(printed_link, latex=(visit_printed_link, depart_printed_link))
    app.add_node(printed_entry, latex=(visit_printed_entry, depart_printed_entry))
    app.connect("config-inited", configure, priority=900)
    app.connect("builder-inited", begin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
