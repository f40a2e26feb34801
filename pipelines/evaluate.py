"""Judge trained nets on the test split, with the overrides they were trained with: python pipelines/evaluate.py ..."""

from checkout import COMMANDS

if __name__ == "__main__":
    COMMANDS["evaluate"].run("evaluate")
