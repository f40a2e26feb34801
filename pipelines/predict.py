"""Answer raw input: python pipelines/predict.py model=runs/<task>/<cell>/<fingerprint> input=my.csv output=out.csv"""

from checkout import COMMANDS

if __name__ == "__main__":
    COMMANDS["predict"].run("predict")
