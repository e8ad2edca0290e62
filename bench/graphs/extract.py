"""extract.py MODEL TENSOR OUTPUT: what onnx.utils takes to cut a graph, importing onnx left out.

Prints milliseconds, and milliseconds of processor time.
"""
import resource
import sys
import time

import onnx.utils


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


model, tensor, output = sys.argv[1:]
started, before = time.perf_counter(), processor_seconds()
onnx.utils.extract_model(model, output, ["input"], [tensor])
print((time.perf_counter() - started) * 1e3, (processor_seconds() - before) * 1e3)
