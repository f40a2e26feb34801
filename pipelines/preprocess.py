"""Turn the fetched data set of a task into arrays in data/processed: python pipelines/preprocess.py task=price"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline("task.dataset", "task.data")
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.preprocess import preprocess

    preprocess(cfg)


if __name__ == "__main__":
    main()
