"""Look how far back a trained net remembers, with the overrides of its training: python pipelines/diagnose.py ..."""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline
from rnnlab.config.schema import MADE


@pipeline(*MADE, settings="rnnlab.training.check.add_faults")
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.diagnose import diagnose

    diagnose(cfg)


if __name__ == "__main__":
    main()
