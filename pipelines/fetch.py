"""Fetch the data set of a task into data/raw: python pipelines/fetch.py task=price"""

from checkout import COMMANDS

if __name__ == "__main__":
    COMMANDS["fetch"].run("fetch")
