"""Train a cell on a task: python pipelines/train.py task=price cell=lstm; a sweep: -m cell=rnn,lstm,gru seed=0,1,2"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline
from rnnlab.config.schema import MADE


@pipeline(*MADE)
def main(cfg: DictConfig) -> None:
    from rnnlab.training.evaluate import rehearse
    from rnnlab.training.train import train

    if cfg.discard:
        rehearse(cfg)
    else:
        train(cfg)


if __name__ == "__main__":
    main()
