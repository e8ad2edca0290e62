"""Three small pictures, and the pixels that libraries make of them at 32 x 32, for the tests.
usage: python golden.py FOLDER   writes FOLDER/*.png|jpg and FOLDER/expected.npz: uint8 [3, 32, 32], keys PRESET|PICTURE"""
import os, sys, types
import numpy as np
from PIL import Image, ImageOps

folder, side = sys.argv[1], 32
sys.modules.setdefault('torchvision._meta_registrations', types.ModuleType('torchvision._meta_registrations'))
import cv2
from timm.data import create_transform
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil as Bit
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil as ViT

os.makedirs(folder, exist_ok=True)
y, x = np.mgrid[0:97, 0:53]
colours = np.stack([127 + 120 * np.sin(x / 3.3 + c) * np.cos(y / (4.1 + c)) for c in range(4)], -1).astype(np.uint8)
Image.fromarray(colours[..., :3]).save(os.path.join(folder, 'tall.png'))
Image.fromarray(colours[:41, :, :].copy(), 'RGBA').save(os.path.join(folder, 'alpha.png'))
turned = Image.Exif()
turned[0x0112] = 6
Image.fromarray(colours[:30, :47, :3].copy()).save(os.path.join(folder, 'turned.jpg'), quality=90, exif=turned)
names = ('tall.png', 'alpha.png', 'turned.jpg')
values = {}


def add(preset, make):
    for name in names:
        values['%s|%s' % (preset, name)] = np.ascontiguousarray(make(os.path.join(folder, name))).astype(np.uint8)


def rgb(path):
    return Image.open(path).convert('RGB')


def upright(path):
    return ImageOps.exif_transpose(Image.open(path)).convert('RGB')


def planes(picture):
    return np.asarray(picture).transpose(2, 0, 1)


def pixels(picture, processor):
    return np.asarray(processor(picture, do_rescale=False, do_normalize=False, return_tensors='np')['pixel_values'])[0]


def letterbox(path):
    picture = np.asarray(upright(path))
    h, w = picture.shape[:2]
    ratio = min(side / h, side / w)
    nw, nh = int(round(w * ratio)), int(round(h * ratio))
    dw, dh = (side - nw) / 2, (side - nh) / 2
    picture = cv2.resize(picture, (nw, nh), interpolation=cv2.INTER_LINEAR)
    top, bottom, left, right = round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)
    return planes(cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114)))


plain = dict(mean=(0., 0., 0.), std=(1., 1., 1.))
timm = create_transform(input_size=(3, side, side), is_training=False, interpolation='bicubic', crop_pct=0.875, **plain)
add('imagenet', lambda path: np.rint(timm(rgb(path)).numpy() * 255))
for preset, resize in (('torchvision', 36), ('torchvision-v2', 33)):
    transform = Compose([Resize(resize, interpolation=InterpolationMode.BILINEAR), CenterCrop(side)])
    add(preset, lambda path: planes(transform(rgb(path))))
square = {'height': side, 'width': side}
add('clip', lambda path: pixels(upright(path), Bit(size={'shortest_edge': side}, crop_size=square)))
add('dinov2', lambda path: pixels(upright(path), Bit(size={'shortest_edge': 36}, crop_size=square)))
add('siglip', lambda path: pixels(upright(path), ViT(size=square, resample=3)))
add('dinov3', lambda path: pixels(upright(path), ViT(size=square, resample=2)))
add('yolo', letterbox)
add('arcface', lambda path: planes(cv2.resize(np.asarray(upright(path)), (side, side))))
np.savez_compressed(os.path.join(folder, 'expected.npz'), **values)
print(len(values), 'arrays')
