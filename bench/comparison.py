# One cut with a tool of Python: seconds, MB at most, bytes. docs/comparison.md has the figures.
#   python bench/comparison.py onnx|graphsurgeon|ir MODEL CUT INPUT,... OUTPUT,...
import os
import resource
import sys
import time

tool, model, cut, inputs, outputs = sys.argv[1:6]
inputs, outputs = inputs.split(","), outputs.split(",")
started = time.time()
if tool == "onnx":
    import onnx.utils

    onnx.utils.extract_model(model, cut, inputs, outputs)
elif tool == "graphsurgeon":
    import onnx
    import onnx_graphsurgeon as gs

    graph = gs.import_onnx(onnx.load(model))
    graph.outputs = [graph.tensors()[name] for name in outputs]
    for output in graph.outputs:
        output.dtype = output.dtype or "float32"
    graph.cleanup()
    onnx.save(gs.export_onnx(graph), cut)
else:
    import onnx_ir as ir
    from onnx_ir.convenience import extract

    whole = ir.load(model)
    ir.save(ir.Model(extract(whole.graph, inputs, outputs), ir_version=whole.ir_version), cut)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"{tool}  {time.time() - started:.2f} s  {peak} MB  {os.path.getsize(cut)} bytes")
