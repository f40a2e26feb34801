"""Search a pair's settings: python pipelines/search.py task=digits cell=gru search.trials=20; cells: -m cell=rnn,gru"""

from checkout import run

if __name__ == "__main__":
    run("search")
