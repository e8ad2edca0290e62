// node decode.mjs FOLDER ROWS PICTURE...: writes the pictures as featx preprocesses them, ROWS to a file.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePicture, pictureTensor } from '../../dist/tensors/image.js';
import { preprocessingFor } from '../../dist/tensors/preprocessing.js';
import { stackRows } from '../../dist/tensors/tensor.js';
import { TensorWriter } from '../../dist/tensors/writer.js';

const [folder, rows, ...pictures] = process.argv.slice(2);
const to = preprocessingFor({ name: 'input', dtype: 'float32', shape: ['batch', 3, 224, 224] });
for (let start = 0; start < pictures.length; start += Number(rows)) {
  const tensors = [];
  for (const path of pictures.slice(start, start + Number(rows)))
    tensors.push(pictureTensor(await decodePicture(readFileSync(path), path), to));
  const writer = await TensorWriter.open(join(folder, `batch-${String(start).padStart(5, '0')}.npy`), {
    totalRows: tensors.length,
  });
  await writer.write(new Map([['input', stackRows(tensors)]]), tensors.length);
  await writer.finish();
}
