"""Writes fixtures/sound/soundfile.json, in the root of the project: small .wav files, what soundfile reads of them, and what scipy makes of samples at other rates."""
import base64
import io
import json

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly

CODINGS = [("WAV", coding) for coding in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")]
CODINGS += [("WAVEX", "PCM_16"), ("WAVEX", "FLOAT")]
RATES = [(8000, 16000), (44100, 16000), (16000, 8000), (48000, 16000)]

noise = np.random.default_rng(0)
time = np.arange(400) / 8000
left = 0.5 * np.sin(2 * np.pi * 440 * time) + 0.05 * noise.standard_normal(400)
stereo = np.stack([left, 0.3 * np.cos(2 * np.pi * 900 * time)], 1)

files = []
for kind, coding in CODINGS:
    wave = io.BytesIO()
    sf.write(wave, stereo[:12], 8000, format=kind, subtype=coding)
    read, _ = sf.read(io.BytesIO(wave.getvalue()), dtype="float64")
    files.append({"name": f"{kind} {coding}", "wave": base64.b64encode(wave.getvalue()).decode(), "mean": read.mean(1).tolist()})

mono = left[:60]
resampled = []
for old, new in RATES:
    common = np.gcd(old, new)
    samples = resample_poly(mono, new // common, old // common)
    resampled.append({"from": old, "to": new, "samples": [float(f"{sample:.12g}") for sample in samples]})

with open("fixtures/sound/soundfile.json", "w") as out:
    json.dump({"files": files, "mono": mono.tolist(), "resampled": resampled}, out)
