"""Write a trained net as ONNX, one timestep of it: python pipelines/export.py model=runs/... output=net.onnx"""

from functools import partial

from omegaconf import DictConfig

from rnnlab.cli import pipeline


@partial(pipeline, makes=())
def main(cfg: DictConfig) -> None:
    from rnnlab.serving.predict import export

    export(cfg)


if __name__ == "__main__":
    main()
