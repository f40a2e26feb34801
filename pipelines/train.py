"""Train a cell on a task: python pipelines/train.py task=price cell=lstm; a sweep: -m cell=rnn,lstm,gru seed=0,1,2"""

from checkout import run

if __name__ == "__main__":
    run("train")
