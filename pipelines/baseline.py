"""Judge what a task can do without a recurrent net: python pipelines/baseline.py task=price"""

from omegaconf import DictConfig

from rnnlab.cli import pipeline


@pipeline("task.dataset", "task.data")
def main(cfg: DictConfig) -> None:
    from rnnlab.evaluation import evaluate_baselines

    evaluate_baselines(cfg)


if __name__ == "__main__":
    main()
