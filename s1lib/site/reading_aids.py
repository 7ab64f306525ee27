"""What makes a converted notebook or document easy to read: contents, folds, labels, live links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from bs4 import BeautifulSoup, Tag

LONG, SHOWN = 15, 10  # rows or lines: what is longer is folded after so many
LABELS = {"by-hand": "by hand", "exercise": "exercise: start here"}  # by the tag of a cell


def readable(
    body: str, *, pages: Mapping[str, str], narrow: Mapping[str, str], cards: bool = False
) -> str:
    """`body` with all that helps a reader.

    pages: the page of the site by the name of its source, as "glossary.md", "05_scaling.ipynb" or
    "solutions/05_scaling.ipynb". narrow: a figure's version for a phone by the figure's alt text.
    cards: the tables hold sentences. A phone shows each row as a card, and none is folded.
    """
    soup = BeautifulSoup(body, "html.parser")
    _list_sections(soup)
    _label_cells(soup)
    _describe_images(soup, narrow)
    _link_pages(soup, pages)
    for code in soup.select("td code"):
        code.string = code.get_text().replace("\\|", "|")  # as GitHub reads it in a table
    for table in soup.find_all("table"):
        wide = table.wrap(soup.new_tag("div", attrs={"class": "wide", "tabindex": "0"}))
        if cards:
            _make_cards(table)
        else:
            _fold_table(soup, table, wide)
    for log in soup.select(".output_area pre"):
        _fold_log(soup, log)
    return str(soup)


def _list_sections(soup: BeautifulSoup) -> None:
    """Give headings their anchors, spelled as on GitHub, and list the sections below the title."""
    for heading in soup.find_all(["h2", "h3"]):
        words = re.sub(r"[^\w\- ]", "", heading.get_text().lower()).strip()
        heading["id"] = words.replace(" ", "-")

    sections = soup.find_all("h2")
    if len(sections) > 2 and soup.h1:
        contents = soup.new_tag("nav", attrs={"class": "contents", "aria-label": "Contents"})
        for section in sections:
            link = soup.new_tag("a", attrs={"href": f"#{section['id']}"}, string=section.get_text())
            contents.append(link)
        soup.h1.insert_after(contents)


def _label_cells(soup: BeautifulSoup) -> None:
    for tag, words in LABELS.items():
        for cell in soup.find_all(class_=f"celltag_{tag}"):
            label = soup.new_tag("p", attrs={"class": "label"}, string=words)
            cell.insert(0, label)


def _describe_images(soup: BeautifulSoup, narrow: Mapping[str, str]) -> None:
    """See that every image has words, and let a phone take its narrow version."""
    for image in soup.find_all("img"):
        if not image.get("alt"):
            heading = image.find_previous(["h1", "h2", "h3"])
            image["alt"] = f"A figure of “{heading.get_text()}”" if heading else "A figure"
        if image["alt"] in narrow:
            source = {"media": "(max-width: 40rem)", "srcset": narrow[image["alt"]]}
            picture = image.wrap(soup.new_tag("picture"))
            picture.insert(0, soup.new_tag("source", attrs=source))


def _link_pages(soup: BeautifulSoup, pages: Mapping[str, str]) -> None:
    """Point links between files of the repository at their pages, or leave the words alone."""
    for link in soup.find_all("a", href=True):
        path, _, anchor = link["href"].partition("#")
        if ":" in path or not path:
            continue
        parts = PurePosixPath(path).parts
        page = pages.get("/".join(parts[-2:])) or pages.get(parts[-1])
        if page:
            link["href"] = f"{page}#{anchor}" if anchor else page
        else:
            link.unwrap()


def _make_cards(table: Tag) -> None:
    """Have each cell carry the name of its column, which the head no longer shows on a phone."""
    table["class"] = "cards"
    names = [head.get_text() for head in table.select("thead th")]
    for row in table.select("tbody tr"):
        for name, cell in zip(names, row.find_all("td"), strict=False):
            cell["data-name"] = name


def _fold_table(soup: BeautifulSoup, table: Tag, wide: Tag) -> None:
    rows = table.select("tbody tr")
    if len(rows) > LONG:
        for row in rows[SHOWN:]:
            row["class"] = "more"
        _fold(soup, wide, f"all {len(rows)} rows")


def _fold_log(soup: BeautifulSoup, log: Tag) -> None:
    """Fold a long printed text after its first lines. Coloured text is left as it is."""
    lines = (log.string or "").splitlines(keepends=True)
    if len(lines) > LONG:
        more = soup.new_tag("span", attrs={"class": "more"}, string="".join(lines[SHOWN:]))
        log.clear()
        log.extend(["".join(lines[:SHOWN]), more])
        _fold(soup, log, f"all {len(lines)} lines")


def _fold(soup: BeautifulSoup, content: Tag, words: str) -> None:
    """Put a switch beside `content`: the style sheet hides what is marked "more" until it opens."""
    folded = content.wrap(soup.new_tag("div", attrs={"class": "fold"}))
    switch = soup.new_tag("details")
    switch.append(soup.new_tag("summary", string=words))
    folded.append(switch)
