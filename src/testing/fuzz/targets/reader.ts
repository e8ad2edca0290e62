import { viewGraph } from '../../../onnx/graph.js';
import { indexModel } from '../../../onnx/model.js';
import type { OnnxModel } from '../../../onnx/records.js';
import { mutatedMessage } from '../mutate-model.js';
import { compareReaders } from '../oracle.js';
import { MODEL } from '../schema.js';
import type { Corpus } from '../seeds.js';
import { codeOf, Violation, type Target } from '../target.js';

export type Reader = (bytes: Uint8Array) => Promise<OnnxModel>;

/**
 * Indexing of models and the checks of their graphs; deep, against other decoders. `read` may be a reader that is wrong
 * on purpose.
 */
export function readerTarget(corpus: Corpus, read: Reader = indexModel): Target {
  return {
    name: 'reader',
    shape: { prefix: 0, type: MODEL },
    deepOnceIn: 20,
    input: (random) => mutatedMessage(corpus, random),
    run: async (bytes, deep) => {
      let model: OnnxModel;
      try {
        model = await read(bytes);
      } catch (error) {
        const code = codeOf(error);
        // Bytes in memory are always there.
        if (code.startsWith('FEATX_IO')) throw new Violation('reads-outside', String(error));
        if (deep) compareReaders(bytes, null, code);
        return code;
      }
      if (deep) compareReaders(bytes, model, 'ok');
      try {
        viewGraph(model);
      } catch (error) {
        return codeOf(error);
      }
      return 'ok';
    },
  };
}
