"""Reads paths of models, one a line; answers with the shapes that onnx infers as numbers, null if it refuses."""

import json
import sys

import onnx

for line in sys.stdin:
    try:
        model = onnx.load(line.rstrip("\n"), load_external_data=False)
        del model.graph.value_info[:]
        made = {name for node in model.graph.node for name in node.output}
        for output in model.graph.output:
            output.ClearField("type")
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        answer = {}
        for value in [*model.graph.value_info, *model.graph.output]:
            tensor = value.type.tensor_type
            if value.name not in made or not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
                continue
            dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
            # -1 is what some exporters write for a dim that they do not know.
            if all(dim is not None and dim >= 0 for dim in dims):
                answer[value.name if isinstance(value.name, str) else value.name.decode("utf8", "replace")] = dims
    except Exception:
        answer = None
    print(json.dumps(answer), flush=True)
