"""Fetch the data set of a task into data/raw: python pipelines/fetch.py task=price"""

from checkout import run

if __name__ == "__main__":
    run("fetch")
