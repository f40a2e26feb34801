"""Writing the leaderboard, showing it, and saying how to browse the runs."""

import logging
import sys
from shutil import get_terminal_size

from omegaconf import DictConfig

from rnnlab.errors import UserError
from rnnlab.report.selection import selection
from rnnlab.report.terminal import fit
from rnnlab.results.paths import CHECKOUT, root

log = logging.getLogger("rnnlab")


def report(cfg: DictConfig) -> None:
    """Write reports/leaderboard.{md,csv,html} from the results on disk, bring the store up to date, print the table."""
    wanted = selection(cfg)
    folder = root() / "reports"
    if cfg.report.folder != "results":
        folder = folder.with_name(f"reports-{cfg.report.folder}")  # `dvc repro` makes reports/ anew as a whole
    if wanted.words and not cfg.report.write:
        raise UserError(f"{wanted.words[0]}: report.write=false shows what was written last; leave out one of the two.")
    if cfg.report.write:
        # imported here: to show what was written takes no statistics and no drawing
        from rnnlab.report.length_sweep import write_lengths
        from rnnlab.report.page import write
        from rnnlab.report.results_table import sections
        from rnnlab.report.training_sizes import write_sizes

        found = sections(cfg.report.folder, wanted)
        write(found, folder, wanted.words)
        log.info("wrote %s", folder / "leaderboard.{md,csv,html}")
        if cfg.report.folder == "runs":
            for figure in [*write_lengths(folder / "lengths"), *write_sizes(found, folder / "sizes")]:
                log.info("wrote %s", figure)
    if cfg.tracking.get("sync"):
        from rnnlab.commands.tracking import sync_store  # here: champions are read and crowned only then

        sync_store(cfg)
    if cfg.report.show:
        path = folder / "leaderboard.md"
        if not path.exists():
            raise UserError(f"{path} is not there: run `dvc repro`, or leave report.write=true.")
        text = path.read_text(encoding="utf-8")
        log.info("\n%s", fit(text, get_terminal_size().columns) if sys.stdout.isatty() else text)
        command = "make" if root() == CHECKOUT else "rnnlab"  # there it needs no environment to be active
        log.info("Browse the runs: %s ui, then open http://127.0.0.1:%d", command, cfg.port)
