"""Ten pictures of odd sizes and modes, and what the libraries that presets come from make of them.
usage: python reference.py FOLDER   writes pictures into FOLDER and values into FOLDER/reference.npz, keys PRESET/PICTURE/HxW;
a library that is not installed is left out and named. Needs PIL and numpy; torch, torchvision, timm, transformers, cv2."""
import json, os, sys, types
import numpy as np
from PIL import Image, ImageOps

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(7)


def scene(width, height):
    """Smooth colours with edges and noise: what filters and rounding show on."""
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([127 + 120 * np.sin(x / 7.3 + c) * np.cos(y / (5.1 + c)) for c in range(3)], -1)
    base[(x // 9 + y // 11) % 3 == 0] *= 0.4
    return Image.fromarray(np.clip(base + rng.normal(0, 12, base.shape), 0, 255).astype(np.uint8))


def save(name, picture, **more):
    picture.save(os.path.join(folder, name), **more)


save('rgb-37x23.png', scene(37, 23))
save('alpha-301x200.png', Image.merge('RGBA', (*scene(301, 200).split(), scene(301, 200).convert('L'))))
save('grey-225x225.png', scene(225, 225).convert('L'))
save('palette-257x129.png', scene(257, 129).quantize(64))
save('wide-1000x101.jpg', scene(1000, 101), quality=90)
save('tall-101x777.jpg', scene(101, 777), quality=85, progressive=True)
save('cmyk-320x241.jpg', scene(320, 241).convert('CMYK'), quality=90)
turned = Image.Exif()
turned[0x0112] = 6
save('turned-333x250.jpg', scene(333, 250), quality=92, exif=turned)
save('lossless-499x501.webp', scene(499, 501), lossless=True)
save('two-level-640x427.png', scene(640, 427).convert('1').convert('L'))

values, versions, missing = {}, {}, []
names = sorted(name for name in os.listdir(folder) if name.endswith(('.png', '.jpg', '.webp')))


def add(preset, size, make):
    for name in names:
        values['%s/%s/%dx%d' % (preset, name, *size)] = np.asarray(make(os.path.join(folder, name)), np.float32)


def rgb(path):
    return Image.open(path).convert('RGB')


def upright(path):
    return ImageOps.exif_transpose(Image.open(path)).convert('RGB')


def library(name, work):
    try:
        versions[name] = work()
    except ImportError as error:
        missing.append('%s: %s' % (name, error))


def with_timm():
    # A torchvision for another build of torch still has its transforms.
    sys.modules.setdefault('torchvision._meta_registrations', types.ModuleType('torchvision._meta_registrations'))
    import timm
    from timm.data import create_transform
    imagenet = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    for preset, size, more in (
        ('imagenet', (224, 224), dict(interpolation='bicubic', crop_pct=0.875, **imagenet)),
        ('imagenet', (256, 192), dict(interpolation='bicubic', crop_pct=0.875, **imagenet)),
        ('inception', (299, 299), dict(interpolation='bicubic', crop_pct=0.875, mean=(0.5,) * 3, std=(0.5,) * 3)),
        ('timm-squash', (224, 224), dict(interpolation='bicubic', crop_pct=0.9, crop_mode='squash', **imagenet)),
        ('timm-border', (224, 160), dict(interpolation='bicubic', crop_pct=1.0, crop_mode='border', **imagenet)),
    ):
        transform = create_transform(input_size=(3, *size), is_training=False, **more)
        add(preset, size, lambda path: transform(rgb(path)).numpy())
    return timm.__version__


def with_torchvision():
    sys.modules.setdefault('torchvision._meta_registrations', types.ModuleType('torchvision._meta_registrations'))
    import torchvision
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
    for preset, resize in (('torchvision', 256), ('torchvision-v2', 232)):
        transform = Compose([Resize(resize, interpolation=InterpolationMode.BILINEAR), CenterCrop(224), ToTensor(),
                             Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
        add(preset, (224, 224), lambda path: transform(rgb(path)).numpy())
    return torchvision.__version__


def with_transformers():
    import transformers
    from importlib import import_module

    def processor(module, name, **more):
        return getattr(import_module('transformers.models.%s.image_processing_pil_%s' % (module, module)), name + 'ImageProcessorPil')(**more)

    imagenet = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    for preset, size, made in (
        ('clip', (224, 224), processor('clip', 'CLIP')),
        ('siglip', (224, 224), processor('siglip', 'Siglip')),
        ('dinov2', (224, 224), processor('bit', 'Bit', size={'shortest_edge': 256}, crop_size={'height': 224, 'width': 224}, **imagenet)),
        ('dinov3', (224, 224), processor('vit', 'ViT', **imagenet)),
        ('hf-vit', (224, 224), processor('vit', 'ViT')),
        ('hf-convnext', (224, 224), processor('convnext', 'ConvNext', size={'shortest_edge': 224}, crop_pct=0.875, resample=3)),
        ('hf-convnext-384', (384, 384), processor('convnext', 'ConvNext', size={'shortest_edge': 384}, crop_pct=0.875, resample=3)),
        ('hf-mobilevit', (256, 256), processor('mobilevit', 'MobileViT', size={'shortest_edge': 224}, resample=2)),
    ):
        config = made.to_dict()
        config['image_processor_type'] = config['image_processor_type'].replace('Pil', '')
        with open(os.path.join(folder, preset + '.json'), 'w') as file:
            json.dump(config, file, default=str)
        add(preset, size, lambda path: np.asarray(made(upright(path), return_tensors='np')['pixel_values'])[0])
    return transformers.__version__


def with_cv2():
    import cv2

    def letterbox(path, height, width):
        """ultralytics.data.augment.LetterBox(new_shape=(height, width), auto=False), then RGB / 255."""
        picture = np.asarray(upright(path))
        h, w = picture.shape[:2]
        ratio = min(height / h, width / w)
        nw, nh = int(round(w * ratio)), int(round(h * ratio))
        dw, dh = (width - nw) / 2, (height - nh) / 2
        if (w, h) != (nw, nh):
            picture = cv2.resize(picture, (nw, nh), interpolation=cv2.INTER_LINEAR)
        top, bottom, left, right = round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)
        picture = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))
        return (picture.astype(np.float32) / 255).transpose(2, 0, 1)

    for size in ((640, 640), (96, 160)):
        add('yolo', size, lambda path: letterbox(path, *size))
    add('arcface', (112, 112), lambda path: ((cv2.resize(np.asarray(upright(path)), (112, 112)).astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1))
    return cv2.__version__


versions['PIL'] = Image.__version__
library('timm', with_timm)
library('torchvision', with_torchvision)
library('transformers', with_transformers)
library('cv2', with_cv2)
np.savez(os.path.join(folder, 'reference.npz'), **{key.replace('/', '|'): value for key, value in values.items()})
print(json.dumps({'versions': versions, 'missing': missing, 'pictures': names}))
