"""Write a trained net as ONNX, one timestep of it: python pipelines/export.py model=runs/... output=net.onnx"""

from checkout import run

if __name__ == "__main__":
    run("export")
