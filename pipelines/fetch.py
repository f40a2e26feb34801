"""Fetch the data set of a task into data/raw: python pipelines/fetch.py task=price"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline("task.dataset")
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.fetch import fetch

    fetch(cfg)


if __name__ == "__main__":
    main()
