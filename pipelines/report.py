"""Write and print the leaderboard: python pipelines/report.py, of runs by hand: report.folder=runs"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline()
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.report import report

    report(cfg)


if __name__ == "__main__":
    main()
