import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diff } from './diff.js';
import { report } from './report-features.js';
import { run } from './run.js';

/** A network with a tower for pictures and one for texts, and a tokenizer beside it. */

const folder = mkdtempSync(join(tmpdir(), 'featx-towers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const model = join(folder, 'clip.onnx');
copyFileSync('fixtures/towers/clip.onnx', model);
copyFileSync('fixtures/tokenizers/wordpiece.json', join(folder, 'tokenizer.json'));
const picture = 'fixtures/tensors/picture.png';
const captions = join(folder, 'captions.txt');
writeFileSync(captions, 'a cat\na dog in the network\n');
const image = { preprocess: 'clip' };
const tensor = (name: string) => ({ select: [{ by: 'tensor', name }] }) as const;

test('of several embeddings one of each tower is proposed, with what it is computed of', async () => {
  await expect(run(model, { embedding: true, inputs: [picture] })).rejects.toMatchObject({
    code: 'FEATX_RESOLVE_EMBEDDING',
    hint: "take one of them, such as `select: [{ by: 'tensor', name: 'text_embeds' }]` (of input_ids, attention_mask) or `select: [{ by: 'tensor', name: 'image_embeds' }]` (of pixel_values)",
  });
});

test('an input of the other tower is refused with what it is for', async () => {
  await expect(run(model, { ...tensor('image_embeds'), texts: [captions] })).rejects.toMatchObject({
    message: 'what is asked for is computed of pixel_values, and not of the tokens of texts (input_ids)',
    hint: expect.stringContaining(
      "ask for what is computed of them: `select: [{ by: 'tensor', name: 'text_embeds' }]`",
    ),
  });
  await expect(run(model, { ...tensor('text_embeds'), inputs: [picture], image })).rejects.toMatchObject({
    message: `${picture} is a picture, and what is asked for takes the tokens of texts: input_ids, attention_mask`,
    hint: expect.stringContaining("of pixel_values: `select: [{ by: 'tensor', name: 'image_embeds' }]`"),
  });
});

test('a report asks only for the inputs of its features, and shows the last attention among those', async () => {
  const page = join(folder, 'page.html');
  const { features, entries } = await report(model, { inputs: [picture], image, output: page });
  expect(entries).toBe(1);
  expect(features.map(({ output }) => output)).toEqual(['0', '1', 'attention.1']);
  expect(features[2].tensor).toMatch(/vision_model/);
});

describe('texts', () => {
  const select = [{ by: 'index', group: 'tower.input_ids', indices: [0, 1] }] as const;

  test('in a report, each called by itself', async () => {
    const page = join(folder, 'texts.html');
    const made = await report(model, { texts: [captions, 'a bird'], select, output: page, maxLength: 5 });
    expect(made).toMatchObject({
      entries: 3,
      inputs: [captions],
      warnings: ['2 texts are longer than 5 tokens and cut there'],
    });
    const html = readFileSync(page, 'utf8');
    for (const text of ['a cat', 'a dog in the network', 'a bird']) expect(html).toContain(text);
  });

  test('in a comparison', async () => {
    const other = join(folder, 'other.onnx');
    copyFileSync(model, other);
    const { features, entries } = await diff(model, other, { texts: [captions], select });
    expect(entries).toBe(2);
    expect(features?.map(({ largest_difference: largest }) => largest)).toEqual([0, 0]);
  });
});
