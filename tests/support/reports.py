"""Reports on what a training left in a folder, and what stands in their pages."""

import re
from contextlib import chdir
from html.parser import HTMLParser

from pipeline.cli.arguments import LATEST
from pipeline.config import StorageOnly, load
from pipeline.report.loading import load_report
from pipeline.review.stored import open_existing


def loaded(folder, **options):
    """The report of the newest configuration of a folder."""
    config = load((), StorageOnly, "stored")
    with chdir(folder), open_existing(config) as repository:
        return load_report(repository, config.storage, LATEST, **options)


def texts(page, tag, **attributes):
    """The text of every element of a page with this tag and these attributes, in their order."""
    parser = _Elements(tag, attributes)
    parser.feed(page)
    return [re.sub(r"\s+", " ", "".join(parts)).strip() for parts in parser.all]


class _Elements(HTMLParser):
    """Gathers the text of some elements, whatever lies in them."""

    def __init__(self, tag, attributes):
        super().__init__()
        self._tag, self._attributes = tag, attributes.items()
        self._open, self.all = [], []

    def handle_starttag(self, tag, attrs):
        if tag == self._tag:
            self._open.append([])
            if self._attributes <= dict(attrs).items():
                self.all.append(self._open[-1])

    def handle_endtag(self, tag):
        if tag == self._tag:
            self._open.pop()

    def handle_data(self, data):
        for parts in self._open:
            parts.append(data)
