"""Answer raw input: python pipelines/predict.py model=runs/<task>/<cell>/<fingerprint> input=my.csv output=out.csv"""

from omegaconf import DictConfig

from rnnlab.config.cli import pipeline


@pipeline()
def main(cfg: DictConfig) -> None:
    from rnnlab.commands.predict import predict

    predict(cfg)


if __name__ == "__main__":
    main()
