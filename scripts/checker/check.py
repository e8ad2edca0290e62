"""Reads paths of models, one a line, and answers each with a line of JSON: null, or why onnx.checker refuses it."""

import json
import sys

import onnx

for line in sys.stdin:
    try:
        onnx.checker.check_model(line.rstrip("\n"), full_check=True)
        answer = None
    except Exception as error:  # whatever it is, it is an answer
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
