"""Turn the fetched data set of a task into arrays in data/processed: python pipelines/preprocess.py task=price"""

from omegaconf import DictConfig

from rnnlab.cli import pipeline


@pipeline("task.dataset", "task.data")
def main(cfg: DictConfig) -> None:
    from rnnlab.preparation import preprocess

    preprocess(cfg)


if __name__ == "__main__":
    main()
