"""Hold the size of the house (`scripts/house` prints the figures).

The sizes rise with what the program can do, and only then: the exits of every strategy on four
backends and the comparison of two trees brought 3,600 lines and 80 imports; marking to market, the
comparison with holding, the pool of a sweep, what a person must be told of a record, and a
calibration in cells brought 3,100 lines and 87 imports. Those are many small files that read
figures of others: the imports a file rose with them, by 0.14. Strategies in
files of one's own, four more of the program's, the check for look-ahead, typed values, the lab and
the template brought 5,200 lines and 140 imports in 27 files. Places that may only be read or are
full brought 300 lines and 10 imports, servers that are frozen and pages that lie 470 and 1, terms
that the lab checks 60 and 5, what a file of one's own is told of its mistakes 250 and 1, another
``loosest`` 190 and 10, drafts of kept results 30.
Any market (perpetual contracts, histories, files, networks) brought two commands, 30 files, 6,250
lines and 201 imports. What follows a verdict (signals, paper trading, the band, freqtrade, notices,
a rise by watching) brought three commands, 9,400 lines and 400 imports; tables for dashboards and
sweeps of the queue 2,900 lines and 110 imports. Pages that lay a search open, compare
configurations, draw trades on candles, show and fill the store, and the head of a configuration
brought 7,700 lines and 300 imports in 45 files, most of which read figures of others. Figures that
ECharts draws, whose script the candles load anyway, brought 360 lines. Files that served one other
were folded into it: 36 files and 228 imports fewer. What a followed candle waits for, and the
exchange's clock, brought 200 lines and 8 imports.
"""

import pytest

from support.source_tree import measure


@pytest.fixture(scope="module")
def house():
    return measure()


def test_commands_are_the_only_loose_files(house):
    assert len(house.loose) <= 17


def test_no_two_folders_import_each_other(house):
    assert house.mutual == []


def test_imports(house):
    assert house.edges_a_file <= 5.33
    assert house.edges <= 2_356
    assert house.import_share <= 0.11


def test_no_file_is_long(house):
    assert house.longest <= 400


def test_lines(house):
    assert house.lines <= 77_050
