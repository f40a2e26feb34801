"""Judge what a task can do without a recurrent net: python pipelines/baseline.py task=price"""

from checkout import run

if __name__ == "__main__":
    run("baseline")
