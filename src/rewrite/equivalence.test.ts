import { benchOf, findDifferences } from '../testing/equivalence.js';

/** `npm run check:zoo` names many models and more taps; by default five small real models. */
const named = process.env.FEATX_CHECK_MODELS?.split('\n');
const singleTaps = Number(process.env.FEATX_CHECK_TAPS ?? 6);
const models =
  named ??
  [
    'timm/test_resnet.ts.onnx',
    'timm/test_vit.dy.onnx',
    'timm/test_convnext.ts.onnx',
    'zoo/resnet10t.anon.onnx',
    'zoo/lcnet_050.ts.onnx',
  ].map((name) => `fixtures/${name}`);

test.each(models)('every tensor of %s, hooked and cut, is bit-equal to the whole model', async (path) => {
  const bench = await benchOf(path);
  try {
    expect(await findDifferences(bench, singleTaps, 7)).toEqual([]);
  } finally {
    await bench.dispose();
  }
});
