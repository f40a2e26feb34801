"""Judge what a task can do without a recurrent net: python pipelines/baseline.py task=price"""

from functools import partial

from omegaconf import DictConfig

from rnnlab.cli import pipeline


@partial(pipeline, makes=("task.dataset", "task.data"))
def main(cfg: DictConfig) -> None:
    from rnnlab.evaluation import evaluate_baselines

    evaluate_baselines(cfg)


if __name__ == "__main__":
    main()
