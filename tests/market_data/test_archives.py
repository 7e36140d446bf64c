"""Archives that are more, less or other than they say."""

import gzip
import warnings
import zipfile

import pytest

from pipeline.errors import UserError
from pipeline.market_data.files import archives
from pipeline.market_data.files.listing import listing

ROW = b"1672531200000,1,1,1,1,1\n"


def packed(path, names, content=ROW, method=zipfile.ZIP_DEFLATED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # of a name that is written twice
        for name in names:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
def test_a_file_that_unpacks_to_too_much_is_not_read_on(tmp_path, monkeypatch, name):
    monkeypatch.setattr(archives, "LARGEST", 1_000)
    path, content = tmp_path / name, b"0" * 1_001
    if name.endswith(".zip"):
        packed(path, ["a.csv"], content)
    else:
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (member,) = listing(path).members
    with pytest.raises(UserError, match="unpacks to more than 1,000 bytes"):
        member.content()


def test_a_file_of_just_the_largest_size_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", len(ROW))
    (member,) = listing(packed(tmp_path / "a.zip", ["a.csv"])).members
    assert member.content() == ROW


def test_two_members_of_one_name(tmp_path):
    path = packed(tmp_path / "a.zip", ["a.csv", "b.csv", "a.csv"])
    with pytest.raises(UserError, match=r"holds 2 files named a.csv: pack it again with one"):
        listing(path)


def test_a_damaged_lzma_member(tmp_path):
    path = packed(tmp_path / "a.zip", ["a.csv"], bytes(range(256)) * 40, zipfile.ZIP_LZMA)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    (member,) = listing(path).members
    with pytest.raises(UserError, match=r"cannot be read: .* Download or copy it again"):
        member.content()


def test_a_name_longer_than_the_file_system_takes(tmp_path):
    with pytest.raises(UserError, match="cannot be looked for: File name too long"):
        listing(tmp_path / ("n" * 300))
