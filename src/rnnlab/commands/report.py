"""Writing the leaderboard, showing it, and saying how to browse the runs."""

import logging
import sys
from pathlib import Path
from shutil import get_terminal_size

from omegaconf import DictConfig

from rnnlab.errors import UserError
from rnnlab.report.selection import selection
from rnnlab.report.terminal import fit
from rnnlab.results.folders import RESULTS, RUNS, find_runs
from rnnlab.results.paths import CHECKOUT, from_root, root

log = logging.getLogger("rnnlab")

UNITED = "reports-united"
"""The folder of a report of several folders, or of one that is not the workspace's own."""


def report(cfg: DictConfig) -> None:
    """Write reports/leaderboard.{md,csv,html} from the results on disk, bring the store up to date, print the table."""
    wanted = selection(cfg)
    folders = _folders(cfg)
    # a folder of their own each, since `dvc repro` deletes all of reports/ before it writes it
    own = {root() / RESULTS: "reports", root() / RUNS: "reports-runs"}
    folder = root() / (own.get(folders[0], UNITED) if len(folders) == 1 else UNITED)
    if wanted.words and not cfg.report.write:
        raise UserError(f"{wanted.words[0]}: report.write=false shows what was written last; leave out one of the two.")
    if cfg.report.write:
        # imported here: to show what was written takes no statistics and no drawing
        from rnnlab.report.length_sweep import write_lengths
        from rnnlab.report.page import write
        from rnnlab.report.results_table import sections
        from rnnlab.report.training_sizes import write_sizes

        found = sections(folders, wanted)
        write(found, folder, wanted.words, [from_root(each) for each in folders] if len(folders) > 1 else ())
        log.info("wrote %s", folder / "leaderboard.{md,csv,html}")
        if not cfg.report.show:  # with it the leaderboard is printed, which has them
            for line in [line for section in found for line in section.remarks]:
                log.info("%s", line)
        if folders != [root() / RESULTS]:
            for figure in [*write_lengths(folders, folder / "lengths"), *write_sizes(found, folder / "sizes")]:
                log.info("wrote %s", figure)
    if cfg.tracking.get("sync"):
        from rnnlab.commands.tracking import sync_store  # here: champions are read and crowned only then

        sync_store(cfg, [each for each in folders if each not in (root() / RESULTS, root() / RUNS)])
    if cfg.report.show:
        path = folder / "leaderboard.md"
        if not path.exists():
            raise UserError(f"{path} is not there: run `dvc repro`, or leave report.write=true.")
        text = path.read_text(encoding="utf-8")
        log.info("\n%s", fit(text, get_terminal_size().columns) if sys.stdout.isatty() else text)
        command = "make" if root() == CHECKOUT else "rnnlab"  # there it needs no environment to be active
        log.info("Browse the runs: %s ui, then open http://127.0.0.1:%d", command, cfg.port)


def _folders(cfg: DictConfig) -> list[Path]:
    """What the report is of: results/, or folders of runs by hand.

    Raises: `UserError` as `find_runs` does.
    """
    given = [cfg.report.folder] if isinstance(cfg.report.folder, str) else list(cfg.report.folder)
    if given in ([RESULTS], [RUNS]):  # also where nothing is in it: what to do then is said later
        return [root() / given[0]]
    if not given:
        raise UserError("report.folder is an empty list: give results, runs, or folders of runs.")
    return find_runs("report.folder", given)
