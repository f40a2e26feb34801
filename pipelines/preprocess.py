"""Turn the fetched data set of a task into arrays in data/processed: python pipelines/preprocess.py task=price"""

from checkout import run

if __name__ == "__main__":
    run("preprocess")
