"""What PyTorch and Pillow make of pixels: JSON. usage: pixels.py PICTURE"""
import base64
import json
import sys

import numpy as np
import torch
from PIL import Image

STATS = {
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], "bicubic"),
    "clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711], "bicubic"),
    "torchvision": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], "bilinear"),
}
FILTERS = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}
encode = lambda array: base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def normalized(levels, name):
    mean, std, _ = STATS[name]
    t = torch.from_numpy(levels.copy()).permute(2, 0, 1).float().div(255)
    return t.sub(torch.tensor(mean).view(3, 1, 1)).div(torch.tensor(std).view(3, 1, 1)).numpy()


picture = Image.open(sys.argv[1]).convert("RGB")
cases = []
for name in STATS:
    levels = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, -1)
    cases.append(dict(name=f"{name}: all 768 values", preprocess=name, resize=None, size=[16, 16], shape=list(levels.shape), data=encode(levels), want=encode(normalized(levels, name))))
for name, (_, _, interpolation) in STATS.items():
    for width, height in ((451, 300), (375, 500), (300, 300), (301, 260)):
        source = picture.resize((width, height), Image.LANCZOS) if (width, height) != picture.size else picture
        for resize, crop in ((235, 224), (256, 224), (160, 160)):
            short = min(source.size)
            size = tuple(int(resize * side / short) for side in source.size)
            resized = source.resize(size, FILTERS[interpolation])
            rest = [side - crop for side in size]
            half = [d // 2 for d in rest] if name == "clip" else [int(round(d / 2.0)) for d in rest]
            want = np.asarray(resized.crop((half[0], half[1], half[0] + crop, half[1] + crop)))
            data = np.asarray(source)
            cases.append(dict(name=f"{name}: {width} x {height} to {resize}, {crop}", preprocess=name, resize=resize, size=[crop, crop], shape=list(data.shape), data=encode(data), want=encode(normalized(want, name))))
json.dump(dict(stats={name: dict(mean=mean, std=std) for name, (mean, std, _) in STATS.items()}, cases=cases), sys.stdout)
