"""What report and diff say of features in numbers, computed by numpy and by torch, for the tests.
usage: python golden.py   writes fixtures/measures/golden.json; needs numpy, torch, onnx and onnxruntime

B is A with the mantissas of its weights cut to four bits; two inputs are small integers over 128. The features are those
of timm's test_resnet."""
import json, os
import numpy as np, onnx, onnxruntime as ort, torch

root = os.path.join(os.path.dirname(__file__), '..', '..', 'fixtures')
model = os.path.join(root, 'timm', 'test_resnet.ts.onnx')
FEATURES = ['/act1/Relu_output_0', '/layer1/layer1.0/act2/Relu_output_0', '/layer2/layer2.0/act2/Relu_output_0',
            '/layer3/layer3.0/act3/Relu_output_0', '/layer4/layer4.0/act2/Relu_output_0']
x = (((np.arange(2 * 3 * 96 * 96) * 7919) % 257) / 128 - 1).astype(np.float32).reshape(2, 3, 96, 96)


def run(loaded):
    del loaded.graph.output[:]
    loaded.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in FEATURES)
    session = ort.InferenceSession(loaded.SerializeToString(), providers=['CPUExecutionProvider'])
    return [np.concatenate(each) for each in zip(*(session.run(None, {'input': x[at:at + 1]}) for at in range(2)))]


def coarse(loaded):
    for tensor in loaded.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.raw_data = (np.frombuffer(tensor.raw_data, '<u4') & np.uint32(0xFFF80000)).tobytes()
    return loaded


def cells(values):
    """[samples, channels]: cells of all entries, at most 32 a side."""
    t = torch.tensor(values, dtype=torch.float64)
    if t.shape[-1] > 32: t = torch.nn.functional.adaptive_avg_pool2d(t, 32)
    return t.permute(0, 2, 3, 1).reshape(-1, t.shape[1])


def in_numpy(a, b):
    p, q = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    x, y = (each - each.mean(0) for each in (cells(a).numpy(), cells(b).numpy()))
    cka = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    return dict(cosine=p @ q / np.linalg.norm(p) / np.linalg.norm(q), cka=cka,
                relative_error=np.linalg.norm(p - q) / np.linalg.norm(p), largest_difference=np.abs(p - q).max())


def in_torch(a, b):
    p, q = (torch.tensor(each, dtype=torch.float64).flatten() for each in (a, b))
    x, y = (each - each.mean(0, keepdim=True) for each in (cells(a), cells(b)))
    k, l = x @ x.T, y @ y.T
    return dict(cosine=torch.cosine_similarity(p, q, dim=0).item(), cka=((k * l).sum() / k.norm() / l.norm()).item(),
                relative_error=((p - q).norm() / p.norm()).item(), largest_difference=(p - q).abs().max().item())


def shares(values):
    """Of the first entry, by numpy and by torch: what its first three components explain."""
    first = values[0].reshape(values.shape[1], -1).T.astype(np.float64)
    mine = np.linalg.svd(first - first.mean(0), compute_uv=False) ** 2
    _, yours, _ = torch.pca_lowrank(torch.tensor(first), q=min(first.shape), niter=8)
    a, b = mine[:3] / mine.sum(), (yours ** 2)[:3].numpy() / mine.sum()
    assert np.abs(a - b).max() < 1e-6, (a, b)
    return a.tolist()


a, b = run(onnx.load(model)), run(coarse(onnx.load(model)))
rows = []
for name, p, q in zip(FEATURES, a, b):
    mine, yours = in_numpy(p, q), in_torch(p, q)
    for key in mine: assert abs(mine[key] - yours[key]) < 1e-9, (name, key, mine, yours)
    rows.append(dict(tensor=name, **{key: float(value) for key, value in mine.items()}, explained=shares(p),
                     zeros_share=float((p == 0).mean()), min=float(p.min()), max=float(p.max())))
with open(os.path.join(root, 'measures', 'golden.json'), 'w') as file:
    json.dump(rows, file, indent=1)
    file.write('\n')
