"""What PyTorch makes of small features, step by step: one JSON document of cases. usage: oracle.py SEED [small]"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

seed, small = int(sys.argv[1]), "small" in sys.argv
rng = np.random.default_rng(seed)
torch.manual_seed(seed)
N, C, H, W, L = (2, 3, 3, 4, 5) if small else (3, 24, 7, 9, 17)
CASES = []


def values(*shape, scale=1.0, shift=0.0):
    got = (rng.standard_normal(shape) * scale + shift).astype(np.float32)
    return np.round(got * 64) / 64 if small else got


def listed(array):
    array = np.asarray(array)
    data = [None if isinstance(x, float) and x != x else x for x in array.reshape(-1).tolist()]
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def case(name, features, options, want, mask=None, error=0.0, since=7, **arrays):
    features = [dict(f, value=listed(f["value"])) for f in features]
    entry = dict(name=name, features=features, options=options, since=since, error=error, want=listed(np.asarray(want)))
    if mask is not None:
        entry["mask"] = listed(mask)
    for key, array in arrays.items():
        entry[key] = listed(array)
    CASES.append(entry)


def of(value, layout, prefix=0, reduction=None):
    return dict(value=value, layout=layout, prefix=prefix, reduction=reduction)


LAYOUTS = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 2, 3, 1)}
for layout, perm in LAYOUTS.items():
    x = values(N, C, H, W)
    t, f = torch.from_numpy(x), [of(x.transpose(perm), layout)]
    case(f"avg {layout}", f, {"pool": "avg"}, t.mean((2, 3)), error=4e-7)
    case(f"max {layout}", f, {"pool": "max"}, t.amax((2, 3)))
    case(f"gem {layout}", f, {"pool": "gem:3"}, t.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3), error=1e-6)
    case(f"gem 2.5 {layout}", f, {"pool": "gem:2.5"}, t.clamp(min=1e-6).pow(2.5).mean((2, 3)).pow(1 / 2.5), error=1e-6)
    case(f"normalize {layout}", f, {"normalize": True}, F.normalize(t, dim=1).numpy().transpose(perm), error=3e-7)
    w, mean = values(C, 4), values(C, scale=100)
    want = ((t.permute(0, 2, 3, 1) - torch.from_numpy(mean)) @ torch.from_numpy(w)).permute(0, 3, 1, 2)
    case(f"project {layout}", f, {}, want.numpy().transpose(perm), error=5e-5, weights=w, mean=mean)

x = values(N, C, H, W)
t = torch.from_numpy(x)
pooled = t.mean((2, 3))
case("avg and normalize", [of(x, "NCHW")], {"pool": "avg", "normalize": True}, F.normalize(pooled, dim=1), error=4e-7)
case("flatten", [of(x, "NCHW")], {"flatten": True}, t.flatten(1))
w, mean = values(C, 5), values(C, scale=300)
case("linear", [of(x, "NCHW")], {"pool": "avg"}, pooled @ torch.from_numpy(w), error=1e-6, weights=w)
want = ((pooled.double() - torch.from_numpy(mean).double()) @ torch.from_numpy(w).double()).float()
case("pca", [of(x, "NCHW")], {"pool": "avg"}, want, error=4e-6 * 300, weights=w, mean=mean)
zero = np.concatenate([np.zeros((1, C, H, W), np.float32), x])
case("a zero vector stays zero", [of(zero, "NCHW")], {"pool": "avg", "normalize": True}, F.normalize(torch.from_numpy(zero).mean((2, 3)), dim=1), error=4e-7)
half = values(N, C, H, W, scale=60).astype(np.float16)
want = F.normalize(torch.from_numpy(half).float().mean((2, 3)), dim=1)
case("float16 is computed in float32", [of(half, "NCHW")], {"pool": "avg", "normalize": True}, want, error=4e-7)
case("and leaves as float16", [of(half, "NCHW")], {"pool": "avg", "normalize": True, "cast": "float16"}, want.half().numpy(), error=1e-3)

for layout, perm in {"NLC": (0, 1, 2), "NCL": (0, 2, 1)}.items():
    x = values(N, L, C)
    t, f = torch.from_numpy(x), [of(x.transpose(perm), layout)]
    case(f"avg {layout}", f, {"pool": "avg"}, t.mean(1), error=4e-7)
    case(f"avg without prefix {layout}", [of(x.transpose(perm), layout, 2)], {"pool": "avg"}, t[:, 2:].mean(1), error=4e-7)
    case(f"max without prefix {layout}", [of(x.transpose(perm), layout, 1)], {"pool": "max"}, t[:, 1:].amax(1))
    case(f"cls {layout}", [of(x.transpose(perm), layout, 1)], {"pool": "cls"}, t[:, 0])
    case(f"last {layout}", f, {"pool": "last"}, t[:, -1])
    case(f"normalize {layout}", f, {"normalize": True}, F.normalize(t, dim=2).numpy().transpose(perm), error=3e-7)
    lengths = [L, 2, 1][:N]
    mask = np.array([[1] * n + [0] * (L - n) for n in lengths], np.int64)
    m = torch.from_numpy(mask).unsqueeze(-1).float()
    mean = (t * m).sum(1) / m.sum(1).clamp(min=1e-9)
    poisoned = x.copy()
    poisoned[mask == 0] = np.nan
    p = [of(poisoned.transpose(perm), layout)]
    case(f"mean {layout}, NaN under the mask", p, {"pool": "mean:mask"}, mean, mask=mask, error=4e-7, since=9)
    last = t[torch.arange(N), torch.tensor(lengths) - 1]
    case(f"last {layout}, NaN under the mask", p, {"pool": "last:mask"}, last, mask=mask, since=12)
    left = mask[:, ::-1].copy()
    case(f"last {layout}, padded on the left", f, {"pool": "last:mask"}, t[:, -1], mask=left, since=12)
    none = mask.copy()
    none[1] = 0
    zeros = mean.clone()
    zeros[1] = 0
    case(f"mean {layout}, a row without tokens", p, {"pool": "mean:mask"}, zeros, mask=none, error=4e-7, since=9)
    zeros = last.clone()
    zeros[1] = 0
    case(f"last {layout}, a row without tokens", p, {"pool": "last:mask"}, zeros, mask=none, since=12)
    for dtype in ("bool", "float32", "int32"):
        case(f"mean {layout}, a mask of {dtype}", p, {"pool": "mean:mask"}, mean, mask=mask.astype(dtype), error=4e-7, since=9)

a, b = values(N, C, 2 * H, 2 * W), values(N, C + 1, H, W)
ta, tb = torch.from_numpy(a), torch.from_numpy(b)
for how, mode in {"linear": dict(mode="bilinear", align_corners=False), "nearest": dict(mode="nearest")}.items():
    want = torch.cat([F.interpolate(tb, size=(2 * H, 2 * W), **mode), ta], 1)
    parts = [of(b, "NCHW", 0, 8), of(a, "NCHW", 0, 4)]
    case(f"concat {how}", parts, {"concat": how}, want, error=6e-7 if how == "linear" else 0, since=11)
    parts = [of(b.transpose(0, 2, 3, 1), "NHWC", 0, 8), of(a.transpose(0, 2, 3, 1), "NHWC", 0, 4)]
    case(f"concat {how} NHWC", parts, {"concat": how}, want.numpy().transpose(0, 2, 3, 1), error=6e-7 if how == "linear" else 0, since=11)
case("concat of vectors", [of(b, "NCHW"), of(a, "NCHW")], {"pool": "avg", "normalize": True, "concat": True},
     torch.cat([F.normalize(v.mean((2, 3)), dim=1) for v in (tb, ta)], 1), error=4e-7)
x, y = values(N, L, C), values(N, L, C)
case("concat of tokens", [of(x, "NLC", 1), of(y, "NLC", 1)], {"concat": True}, np.concatenate([x, y], 2)[:, 1:])

unit = F.normalize(torch.from_numpy(values(N, C, H, W)).mean((2, 3)), dim=1)
codes = torch.clamp(torch.round(unit * 127), -127, 127).to(torch.int8)
case("int8", [of(unit.reshape(N, C, 1, 1).numpy(), "NCHW")], {"pool": "avg", "normalize": True, "cast": "int8"}, codes, error=1, since=11)
wide = np.array([1.2, -1.5, 0.5, 1.0, -1.0, 0.0], np.float32).reshape(2, 3, 1, 1)
want = np.array([127, -127, 64, 127, -127, 0], np.int8).reshape(2, 3)
case("int8 does not wrap", [of(wide, "NCHW")], {"pool": "avg", "cast": "int8"}, want, since=11)

json.dump(CASES, sys.stdout, separators=(",", ":") if small else None)
