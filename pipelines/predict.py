"""Answer raw input: python pipelines/predict.py model=runs/<task>/<data>/<cell>/<fingerprint> input=my.csv"""

from checkout import run

if __name__ == "__main__":
    run("predict")
