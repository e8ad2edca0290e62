"""Cuts that begin at a tensor, by featx and its peers. usage: python bench/ends/peers.py CASES|none [--split MiB]

CASES is a folder of cases, each with model.onnx and inputs.npz; cases.json names tensors of theirs. From each such
tensor to the outputs of its model every tool cuts, and the cut is run on what the model gives; where one tensor is not
enough, from what featx says is missing beside it, too. A result is `right` (every
output bit for bit, and accepted by onnx.checker if the model is), `refused` (an error, no file), or `broken`: wrong
values, a file that does not run, a file that onnx.checker refuses, a file left behind by a failure.
It needs onnx, onnxruntime, numpy; onnx_graphsurgeon, onnx_ir and sne4onnx as far as they are there.
"""
import json, os, subprocess, sys, tempfile, time
import numpy as np
import onnx
import onnxruntime as ort

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FEATX = os.path.join(ROOT, "bin", "featx.js")
ort.set_default_logger_severity(4)


def options():
    so = ort.SessionOptions()
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    so.log_severity_level = 4
    return so


def featx(model, tensors, target):
    flags = [flag for tensor in tensors for flag in ("--from", tensor)]
    return subprocess.run(["node", FEATX, "extract", model, *flags, "-o", target, "--json"], capture_output=True, text=True)


def by_featx(model, tensors, outputs, target):
    run = featx(model, tensors, target)
    if run.returncode != 0:
        raise RuntimeError(json.loads(run.stdout)["error"]["code"] if run.stdout.startswith("{") else run.stderr[:200])
    # A tensor that leaves the model and enters the cut has another name as an input.
    return {each["input"]: each["tensor"] for each in json.loads(run.stdout)["from"]}


def enough(model, tensor):
    """The tensor with what featx says is missing beside it; None if nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        run = featx(model, [tensor], os.path.join(folder, "cut.onnx"))
    if run.returncode == 0 or not run.stdout.startswith("{"):
        return None
    words = json.loads(run.stdout)["error"].get("hint", "").replace(",", " ").split()
    return [tensor] + [word for at, word in enumerate(words) if at > 0 and words[at - 1] == "--from"]


def by_onnx_utils(model, tensors, outputs, target):
    onnx.utils.extract_model(model, target, tensors, outputs)


def by_graphsurgeon(model, tensors, outputs, target):
    import onnx_graphsurgeon as gs

    graph = gs.import_onnx(onnx.shape_inference.infer_shapes(onnx.load(model)))
    known = graph.tensors()
    graph.inputs = [known[name] for name in tensors]
    for name in tensors:
        known[name].inputs.clear()
    graph.outputs = [known[name] for name in outputs]
    graph.cleanup().toposort()
    onnx.save(gs.export_onnx(graph), target)


def by_onnx_ir(model, tensors, outputs, target):
    import onnx_ir as ir

    whole = ir.from_proto(onnx.shape_inference.infer_shapes(onnx.load(model)))
    part = ir.convenience.extract(whole.graph, tensors, outputs)
    ir.save(ir.Model(part, ir_version=whole.ir_version, functions=list(whole.functions.values())), target)


def by_sne4onnx(model, tensors, outputs, target):
    from sne4onnx import extraction

    extraction(tensors, outputs, input_onnx_file_path=model, output_onnx_file_path=target, non_verbose=True)


TOOLS = {"featx": by_featx, "onnx.utils": by_onnx_utils, "graphsurgeon": by_graphsurgeon, "onnx-ir": by_onnx_ir, "sne4onnx": by_sne4onnx}


def is_valid(path):
    try:
        onnx.checker.check_model(path)
        return True
    except Exception:
        return False


def judged(tool, model, tensors, outputs, values, feeds, must_be_valid):
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "cut.onnx")
        try:
            names = TOOLS[tool](model, tensors, outputs, target) or {}
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return "broken: a file is left" if os.path.exists(target) else "refused", str(error)[:100]
        try:
            session = ort.InferenceSession(target, options())
            given = {**feeds, **values, **{name: values[of] for name, of in names.items()}}
            missing = [i.name for i in session.get_inputs() if i.name not in given]
            if missing:
                return "broken: unknown inputs", str(missing)
            asked = [i.name for i in session.get_inputs() if names.get(i.name, i.name) not in tensors]
            got = dict(zip([o.name for o in session.get_outputs()], session.run(None, {i.name: given[i.name] for i in session.get_inputs()})))
        except Exception as error:
            return "broken: does not run", str(error)[:100]
        for name in outputs:
            if name not in got or not np.array_equal(got[name], values[name], equal_nan=got[name].dtype.kind == "f"):
                return "broken: wrong values", name
        if must_be_valid and not is_valid(target):
            return "broken: onnx.checker refuses it", ""
        return "right", ",".join(asked)


def places(checks):
    found = []
    for check in checks:
        for tensor in check.get("pairs", {}):
            if tensor not in found:
                found.append(tensor)
    return found


def cases(folder):
    rows = []
    for case in json.load(open(os.path.join(folder, "cases.json"))):
        where = os.path.join(folder, case["case"])
        model, inputs = os.path.join(where, "model.onnx"), os.path.join(where, "inputs.npz")
        if not os.path.exists(inputs):
            continue
        feeds = {k.replace("%2F", "/"): v for k, v in np.load(inputs, allow_pickle=True).items()}
        whole = onnx.load(model)
        outputs = [o.name for o in whole.graph.output]
        made = {name for node in whole.graph.node for name in node.output}
        valid = is_valid(model)
        for tensor in places(case["checks"]):
            if tensor in outputs or tensor not in made:
                continue
            hooked = onnx.load(model)
            more = enough(model, tensor)
            beginnings = [[tensor]] if more is None else [[tensor], more]
            have = {o.name for o in hooked.graph.output}
            hooked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in beginnings[-1] if name not in have)
            try:
                session = ort.InferenceSession(hooked.SerializeToString(), options())
                need = {i.name for i in session.get_inputs()}
                names = [o.name for o in session.get_outputs()]
                values = dict(zip(names, session.run(None, {k: v for k, v in feeds.items() if k in need})))
            except Exception as error:
                print("not run:", case["case"], str(error)[:120])
                break
            for tensors in beginnings:
                results = {tool: judged(tool, model, tensors, outputs, values, feeds, valid) for tool in TOOLS}
                rows.append((case["case"], tensors, results))
                print(case["case"], " ".join(tensors), {tool: result[0] for tool, result in results.items()}, flush=True)
    return rows


def measured(arguments, folder):
    """Seconds, bytes read and MiB of memory at its peak, of a process of Node."""
    place = os.path.join(folder, "io")
    counting = os.path.join(ROOT, "bench", "ends", "count-io.mjs")
    env = {**os.environ, "FEATX_COUNT_IO": place}
    start = time.perf_counter()
    done = subprocess.run(["node", "--import", counting, *arguments], env=env, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    text = open(place).read()
    return seconds, int(text.split("rchar: ")[1].split()[0]), int(text.split("VmHWM:")[1].split()[0]) / 1024


def moving(model, folder, middle):
    """What cuts read of weights that stay where they are, and how long they take."""
    _seconds, alone, _memory = measured([FEATX, "--version"], folder)
    whole = [FEATX, "extract", model, "--tensor", middle, "--weights", "keep", "-o", os.path.join(folder, "cut.onnx")]
    for name, flags in (("a cut", []), ("from a tensor", ["--from", "t2"]), ("a size", ["--dim", "n=1"]), ("normalised", ["--normalize", "--flatten"])):
        runs = sorted(measured([*whole, *flags], folder) for _ in range(7))
        print(f"{name}: {runs[3][1] - alone} bytes read beyond {alone} of Node and --version, {runs[3][0]:.3f} s", flush=True)


def splitting(mib):
    """A chain of products of 32 MiB each, in two parts; against cp of the parts, and against Node alone."""
    with tempfile.TemporaryDirectory() as folder:
        side = 2896
        count = max(2, mib * 2**20 // (side * side * 4))
        nodes, weights = [], []
        rng = np.random.default_rng(0)
        with open(os.path.join(folder, "weights.bin"), "wb") as out:
            for at in range(count):
                weight = onnx.TensorProto(name=f"w{at}", data_type=1, dims=[side, side], data_location=onnx.TensorProto.EXTERNAL)
                for key, value in (("location", "weights.bin"), ("offset", str(out.tell())), ("length", str(side * side * 4))):
                    weight.external_data.add(key=key, value=value)
                weights.append(weight)
                out.write(rng.random((side, side), dtype=np.float32).tobytes())
                nodes.append(onnx.helper.make_node("MatMul", [f"t{at}", f"w{at}"], [f"t{at + 1}"]))
        value = lambda name: onnx.helper.make_tensor_value_info(name, 1, ["n", side])
        graph = onnx.helper.make_graph(nodes, "chain", [value("t0")], [value(f"t{count}")], weights)
        model = os.path.join(folder, "large.onnx")
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), model)
        node_time, _bytes, node_memory = measured(["-e", "0"], folder)
        print(f"{count} weights of {side * side * 4 / 2**20:.0f} MiB, {os.path.getsize(os.path.join(folder, 'weights.bin')) / 2**20:.0f} MiB")
        moving(model, folder, f"t{count - 1}")
        for mode in ("embed", "external", "keep"):
            parts = folder if mode == "keep" else os.path.join(folder, mode)
            os.makedirs(parts, exist_ok=True)
            template = os.path.join(parts, "{name}.part{part}.onnx")
            seconds, _bytes, memory = measured([FEATX, "split", model, "--parts", "2", "--weights", mode, "-o", template], folder)
            written = [os.path.join(parts, name) for name in os.listdir(parts) if mode != "keep" or ".part" in name]
            size = sum(os.path.getsize(path) for path in written)
            copies = os.path.join(folder, "copies")
            os.mkdir(copies)
            start = time.perf_counter()
            subprocess.run(["cp", *written, copies])
            for name in os.listdir(copies):
                with open(os.path.join(copies, name), "rb+") as copy:
                    os.fsync(copy.fileno())
            cp = time.perf_counter() - start
            subprocess.run(["rm", "-r", copies, *written])
            print(
                f"{mode}: {size / 2**20:.1f} MiB in {len(written)} files, {seconds:.2f} s, {node_time:.2f} s of them bare Node; cp and fsync of them {cp:.2f} s: "
                f"{(seconds - node_time) / cp:.2f} times; {memory - node_memory:.0f} MiB above bare Node's {node_memory:.0f}",
                flush=True,
            )


if __name__ == "__main__":
    rows = [] if sys.argv[1] == "none" else cases(sys.argv[1])
    tally = {} if rows == [] else {tool: {} for tool in TOOLS}
    for _case, _tensor, results in rows:
        for tool, (result, _why) in results.items():
            kind = result.split(":")[0]
            tally[tool][kind] = tally[tool].get(kind, 0) + 1
    if rows:
        print(f"\n| {len(rows)} cuts | right | refused | broken |\n|---|---|---|---|")
    for tool, kinds in tally.items():
        print(f"| {tool} | " + " | ".join(str(kinds.get(kind, 0)) for kind in ("right", "refused", "broken")) + " |")
    if "--split" in sys.argv:
        splitting(int(sys.argv[sys.argv.index("--split") + 1]))
