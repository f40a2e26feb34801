"""Open the MLflow UI on the store that the pipelines write to: python pipelines/ui.py port=5000"""

from checkout import run

if __name__ == "__main__":
    run("ui")
