"""Open the MLflow UI on the store that the pipelines write to: python pipelines/ui.py port=5000"""

from functools import partial

from omegaconf import DictConfig

from rnnlab.cli import pipeline


@partial(pipeline, makes=())
def main(cfg: DictConfig) -> None:
    from rnnlab.tracking.ui import serve

    serve(cfg)


if __name__ == "__main__":
    main()
