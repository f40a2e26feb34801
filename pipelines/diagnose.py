"""Look how far back a trained net remembers, with the overrides of its training: python pipelines/diagnose.py ..."""

from checkout import run

if __name__ == "__main__":
    run("diagnose")
