"""Judge trained nets on the test split, with the overrides they were trained with: python pipelines/evaluate.py ..."""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline
from rnnlab.config.schema import MADE


@pipeline(*MADE, settings="rnnlab.training.check.add_faults")
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.evaluate import evaluate, smoke_test

    if cfg.discard:
        smoke_test(cfg)
    else:
        evaluate(cfg)


if __name__ == "__main__":
    main()
