"""Search a pair's settings: python pipelines/search.py task=digits cell=gru search.trials=20; cells: -m cell=rnn,gru"""

from omegaconf import DictConfig

from rnnlab.cli import pipeline
from rnnlab.schema import MADE


@pipeline(*MADE)
def main(cfg: DictConfig) -> None:
    from rnnlab.search.study import search

    search(cfg)


if __name__ == "__main__":
    main()
