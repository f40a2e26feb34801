"""Search a pair's settings: python pipelines/search.py task=digits cell=gru search.trials=20; cells: -m cell=rnn,gru"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline
from rnnlab.config.schema import MADE


@pipeline(*MADE, settings="rnnlab.training.check.add_faults")
def main(cfg: DictConfig) -> float | None:
    from rnnlab.commands.search import search

    return search(cfg)


if __name__ == "__main__":
    main()
