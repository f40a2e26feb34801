"""Write and print the leaderboard: python pipelines/report.py, of runs by hand: report.folder=runs"""

from checkout import run

if __name__ == "__main__":
    run("report")
