"""Train a cell on a task: python pipelines/train.py task=price cell=lstm; a sweep: -m cell=rnn,lstm,gru seed=0,1,2"""

from omegaconf import DictConfig

from rnnlab.cli import pipeline
from rnnlab.schema import MADE


@pipeline(*MADE)
def main(cfg: DictConfig) -> None:
    from rnnlab.evaluation import rehearse
    from rnnlab.training import train

    if cfg.discard:
        rehearse(cfg)
    else:
        train(cfg)


if __name__ == "__main__":
    main()
