"""Train a cell on a task: python pipelines/train.py task=price cell=lstm; a sweep: -m cell=rnn,lstm,gru seed=0,1,2"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline
from rnnlab.config.schema import MADE


@pipeline(*MADE, settings="rnnlab.training.check.add_faults")
def main(cfg: DictConfig) -> float:
    if cfg.discard:
        from rnnlab.commands.evaluate import smoke_test as train
    else:
        from rnnlab.commands.train import train
    return train(cfg)


if __name__ == "__main__":
    main()
