"""Judge what a task can do without a recurrent net: python pipelines/baseline.py task=price"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline("task.dataset", "task.data", "task.judging", "task.baselines")
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.baseline import baseline

    baseline(cfg)


if __name__ == "__main__":
    main()
