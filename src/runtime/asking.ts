import type { GraphView } from '../onnx/graph.js';
import type { ValueType } from '../onnx/records.js';
import { RuntimeChild } from './child.js';
import { LocalRuntime, type SessionTypes } from './host.js';
import { isRuntimeInstalled, runtimeMissing } from './session.js';
import { askRuntime, type Asker, type InferOptions, type Question } from './type-questions.js';

const TIMEOUT_MS = 60_000;

/**
 * Puts a question about types to ONNX Runtime, in a child unless it is wanted in place.
 * @throws RuntimeError, TimeoutError
 */
export async function askForTypes(
  view: GraphView,
  question: Question,
  options: InferOptions,
  warnings: string[],
): Promise<readonly ReadonlyMap<string, ValueType>[]> {
  if (!isRuntimeInstalled()) throw runtimeMissing();
  const { isolate, memoryBytes, signal } = options;
  const host = options.child ?? (isolate === false ? new LocalRuntime() : RuntimeChild.start({ memoryBytes, signal }));
  const deadline = Date.now() + (options.timeoutMs ?? TIMEOUT_MS);
  const ask: Asker = async (levels, models, watch) => {
    const subject = `the types of ${view.model.source.path ?? 'the model'}`;
    const { value } = await host.ask({ kind: 'types', levels }, models, {
      timeoutMs: Math.max(1, deadline - Date.now()),
      subject,
      watch,
    });
    return value as SessionTypes[];
  };
  try {
    return await askRuntime(view, question, ask, warnings);
  } finally {
    if (options.child === undefined) await host.close();
  }
}
