"""Every single edit of what is stored is noticed by verify and not served to a live trader.

`scripts/test tests/review/test_stored_edits.py -m slow -s` prints how many.
"""

import sqlite3
from collections import Counter
from dataclasses import replace

import pytest

from pipeline import verify
from pipeline.config import StorageConfig
from pipeline.results.database import open_database
from pipeline.review.later_evidence import record_execution
from pipeline.sweeps.judging import judge_together
from pipeline.web.service.signals import ActiveList
from support.edits import Target
from support.runs import ask
from support.stored import command

#: Of the default run: one edit in so many.
SAMPLE = 60


@pytest.fixture
def stored(fading):
    """Switch a configuration on, with an event of every kind, and another; return both ids."""
    (row,) = fading.configurations
    other = f"{row.id[:-6]}abcdef"

    def live(repository):
        configurations = repository.configurations
        configurations.set_active(row.id, True, "a dry run", forced=True)
        record_execution(repository, row.id, {"fill_rate": 0.9, "slippage": 0.001})
        judge_together(repository, [row.id])
        repository.checks.record(row.id, "trades[3].ret")
        repository.checks.record(row.id, None)
        job = repository.jobs.read(row.job_id)
        names = ("exchange", "pair", "timeframe", "strategy", "optimizer")
        names += ("config", "config_hash", "seed")
        again = repository.jobs.create(**{name: getattr(job, name) for name in names})
        repository.jobs.start(again)
        copy = replace(row, id=other, job_id=again, artifacts=None, artifact_digests={})
        configurations.save(copy)
        configurations.set_active(other, True, "a dry run", forced=True)

    ask(fading.folder, live)
    return Target(fading.folder, row.id, row.job_id), other


def drill(fading, target, other, edits):
    """Make each edit, look at it as verify and as a live trader, and undo it; count them."""
    url = f"sqlite:///{fading.folder}/var/trainings.db"
    storage = StorageConfig(url=url, artifacts=f"{fading.folder}/var/artifacts", patience=0)
    missed, counts = [], Counter()
    with open_database(url) as repository:
        served = ActiveList(repository, storage)
        identity = target.artifacts.name
        assert {one.id for one in served.read().configurations} == {identity, other}
        for edit in edits:
            try:
                edit.apply()
            except sqlite3.IntegrityError:  # two events of one number
                counts["refused by the database", True] += 1
                continue
            receipt = command(verify, fading.folder, identity, "--stored")
            assert "Traceback" not in receipt.err, edit.name
            answer = served.read()
            assert other in {one.id for one in answer.configurations}, edit.name
            target.put_back()
            refused = len(answer.configurations) == 1
            noticed = receipt.status != 0
            assert noticed == refused or ".is_active" in edit.name, edit.name
            if noticed != edit.reads or refused != edit.reads:
                missed.append(f"{edit.name}: noticed {noticed}, refused {refused}")
            counts[edit.kind, edit.reads] += 1
        assert {one.id for one in served.read().configurations} == {identity, other}
    assert missed == []
    return counts


def test_a_sample_of_all_edits(fading, stored):
    target, other = stored
    edits = list(target.edits())
    counts = drill(fading, target, other, edits[::SAMPLE])
    assert counts.total() == -(-len(edits) // SAMPLE)


@pytest.mark.slow
def test_all_edits(fading, stored):
    target, other = stored
    counts = drill(fading, target, other, target.edits())
    for (kind, reads), count in sorted(counts.items()):
        outcome = "noticed and refused" if reads else "say the same: served"
        print(f"{kind}: {count} {outcome}")
    read = sum(count for (_, reads), count in counts.items() if reads)
    print(f"{counts.total()} edits, {read} change what is read: all noticed and refused")
    assert read >= 554
