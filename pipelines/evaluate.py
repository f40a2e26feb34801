"""Judge trained nets on the test split, with the overrides they were trained with: python pipelines/evaluate.py ..."""

from checkout import run

if __name__ == "__main__":
    run("evaluate")
