// node decode.mjs FOLDER ROWS PICTURE...: writes the pictures as featx preprocesses them, ROWS to a file.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pictureTensor } from '../../dist/tensors/picture-tensor.js';
import { decodePicture } from '../../dist/tensors/image.js';
import { stackRows } from '../../dist/tensors/tensor.js';
import { openWriter } from '../../dist/tensors/open-writer.js';
import { IMAGENET } from './imagenet.mjs';

const [folder, rows, ...pictures] = process.argv.slice(2);
for (let start = 0; start < pictures.length; start += Number(rows)) {
  const tensors = [];
  for (const path of pictures.slice(start, start + Number(rows)))
    tensors.push(pictureTensor(await decodePicture(readFileSync(path), path), IMAGENET));
  const writer = await openWriter(join(folder, `batch-${String(start).padStart(5, '0')}.npy`), {
    totalRows: tensors.length,
  });
  await writer.write(new Map([['input', stackRows(tensors)]]), tensors.length);
  await writer.finish();
}
