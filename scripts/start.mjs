// npm start: installs and builds what is missing, then does the main job on a real model: shows the features of a timm
// ResNet, cuts three of them out into a smaller model, shows that model, and runs it on a picture. `npm start --
// inspect my.onnx` runs featx with other arguments.
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { built, node, root } from './ready.mjs';

built();
const own = process.argv.slice(2);
if (own.length > 0) featx(own, { cwd: process.env.INIT_CWD ?? process.cwd() });
else {
  const model = join('fixtures', 'timm', 'test_resnet.ts.onnx');
  const output = join(mkdtempSync(join(tmpdir(), 'featx-')), 'test_resnet.features.onnx');
  step('The features of a model (what timm calls features_only=True):', ['inspect', model]);
  step('Three of them, cut out into a model of its own:', ['extract', model, '--out', '1,2,3', '-o', output]);
  step('That model, which still knows their indices and modules:', ['inspect', output]);
  if (installed('onnxruntime-node') && installed('sharp'))
    step('What it computes for a picture:', [
      'run',
      output,
      '--input',
      join('fixtures', 'pictures', 'chelsea.png'),
      '-o',
      join(dirname(output), 'features.npz'),
    ]);
  else
    console.log('\nrun needs onnxruntime-node and sharp, which are not installed; featx doctor says how to get them.');
  console.log(
    `\nThe result is ${output}. Use featx on your own model with:\n  node ${join('bin', 'featx.js')} inspect MODEL.onnx`,
  );
}

function installed(name) {
  return existsSync(join(root, 'node_modules', name, 'package.json'));
}

function step(what, args) {
  console.log(
    `\n${what}\n$ featx ${args.map((argument) => (argument.startsWith(root) ? relative(root, argument) : argument)).join(' ')}\n`,
  );
  featx(args);
}

function featx(args, options) {
  node([join(root, 'bin', 'featx.js'), ...args], options);
}
