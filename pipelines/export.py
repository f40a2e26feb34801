"""Write a trained net as ONNX, one timestep of it: python pipelines/export.py model=runs/... output=net.onnx"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline()
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.export import export

    export(cfg)


if __name__ == "__main__":
    main()
