"""Write configs/: what each stage of dvc.yaml depends on, so that an edit reruns what it touches and nothing else."""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline()
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.compose import compose

    compose(cfg)


if __name__ == "__main__":
    main()
