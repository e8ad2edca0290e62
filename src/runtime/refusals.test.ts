import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';
import { run } from '../run.js';
import { refusalHint } from './refusals.js';

test.each([
  [
    'Fatal error: ai.onnx.contrib:BpeTokenizer(-1) is not a registered function/op',
    'BpeTokenizer is an operator of ai.onnx.contrib',
  ],
  ['No Op registered for Gelu with domain_version of 13', 'opset 13 has no Gelu'],
  [
    "NOT_IMPLEMENTED : Could not find an implementation for Trilu(14) node with name 'x'",
    'no kernel runs Trilu of opset 14',
  ],
])('%s', (reason, hint) => expect(refusalHint(reason)).toContain(hint));

test('an operator of a domain that is not there is refused with what to do', async () => {
  const model = encodeModel({
    opset: [
      ['', 17],
      ['com.example', 1],
    ],
    graph: {
      inputs: [value('x', [1, 4])],
      outputs: [value('y', [1, 4])],
      nodes: [node('Own', ['x'], ['y'], {}, { domain: 'com.example' })],
    },
  });
  await expect(run(model, { inputs: ['random'], select: [{ by: 'tensor', name: 'y' }] })).rejects.toMatchObject({
    hint: expect.stringContaining('Own is an operator of com.example'),
  });
});

test('what is not known gets no hint', () => expect(refusalHint('something else')).toBeUndefined());
