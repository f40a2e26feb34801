"""Write configs/: what each stage of dvc.yaml depends on, so that an edit reruns what it touches and nothing else."""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline()
def main(_: DictConfig) -> None:
    from rnnlab.config.stages import write_configs

    write_configs()


if __name__ == "__main__":
    main()
