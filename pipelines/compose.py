"""Write configs/: what each stage of dvc.yaml depends on, so that an edit reruns what it touches and nothing else."""

from checkout import run

if __name__ == "__main__":
    run("compose")
