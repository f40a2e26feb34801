"""Open the MLflow UI on the store that the pipelines write to: python pipelines/ui.py port=5000"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline()
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.ui import ui

    ui(cfg)


if __name__ == "__main__":
    main()
