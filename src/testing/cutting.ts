import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { onnx } from 'onnx-proto';
import { viewGraph } from '../onnx/graph.js';
import { openModel } from '../open.js';
import type { PlanOptions } from '../rewrite/tap.js';
import type { WeightsMode } from '../rewrite/weights.js';
import { cut, tapOf, type Bench, type Cut } from './equivalence.js';
import { decodeModel } from './decode.js';
import { encodeModel } from './model-builder.js';
import type { ModelSpec } from './model-spec.js';
import { feedsFor, runFile, type Outputs } from './ort.js';
import type { Style } from './wire-writer.js';

/** A model on a bench of its own: a file in `fixtures/` with the sidecars of its name, or one that is built here. */
export async function benchFor(
  source: string | ModelSpec,
  { style, sidecars = {} }: { readonly style?: Style; readonly sidecars?: Readonly<Record<string, Uint8Array>> } = {},
): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'featx-cut-'));
  const path = join(folder, typeof source === 'string' ? basename(source) : 'model.onnx');
  if (typeof source === 'string') {
    const stem = basename(source, '.onnx');
    for (const name of await readdir(dirname(source)))
      if (name === `${stem}.onnx` || name === `${stem}.data`)
        await copyFile(join(dirname(source), name), join(folder, name));
  } else await writeFile(path, encodeModel(source, style));
  for (const [name, bytes] of Object.entries(sidecars)) await writeFile(join(folder, name), bytes);
  const model = await openModel(path);
  const dispose = async (): Promise<void> => {
    await model[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  };
  return { model, view: viewGraph(model), path, dispose };
}

/** Runs a test on a bench and clears it away. */
export async function on<T>(
  source: string | ModelSpec,
  test: (bench: Bench) => Promise<T>,
  setting: Parameters<typeof benchFor>[1] = {},
): Promise<T> {
  const bench = await benchFor(source, setting);
  try {
    return await test(bench);
  } finally {
    await bench.dispose();
  }
}

export interface DecodedCut extends Cut {
  readonly proto: onnx.ModelProto;
  readonly graph: onnx.IGraphProto;
  /** Names of the tensors of the main graph, list by list. */
  readonly names: {
    readonly [list in
      | 'inputs'
      | 'outputs'
      | 'initializers'
      | 'sparse'
      | 'valueInfo'
      | 'annotations'
      | 'functions']: readonly string[];
  };
  /** Outputs of the nodes, in order. */
  readonly nodes: readonly string[];
}

/** A cut of tensors by name, and what the second decoder sees in it. */
export async function cutTensors(
  bench: Bench,
  tensors: readonly string[],
  options: Partial<PlanOptions> = {},
  weights: WeightsMode = 'keep',
): Promise<DecodedCut> {
  const isByIndex = (options.mode ?? 'dict') === 'dict';
  const result = await cut(
    bench,
    tensors.map((name, index) => tapOf(bench.view, name, isByIndex ? index : null)),
    options,
    weights,
  );
  const proto = decodeModel(result.bytes);
  const graph = proto.graph ?? {};
  const list = (items: readonly { name?: string | null }[] | null | undefined): string[] =>
    (items ?? []).map(({ name }) => name ?? '');
  return {
    ...result,
    proto,
    graph,
    nodes: (graph.node ?? []).map(({ output }) => (output ?? []).join(' ')),
    names: {
      inputs: list(graph.input),
      outputs: list(graph.output),
      initializers: list(graph.initializer),
      valueInfo: list(graph.valueInfo),
      functions: list(proto.functions),
      sparse: (graph.sparseInitializer ?? []).map(({ values }) => values?.name ?? ''),
      annotations: (graph.quantizationAnnotation ?? []).map(({ tensorName }) => tensorName ?? ''),
    },
  };
}

/** The outputs of a cut, and those of the whole model with the same tensors hooked, on the same seeded inputs. */
export async function runBoth(
  bench: Bench,
  tensors: readonly string[],
  result: Cut,
): Promise<{ readonly got: Outputs; readonly want: Outputs }> {
  const feeds = feedsFor(bench.model);
  const hook = await cut(
    bench,
    tensors.map((name) => tapOf(bench.view, name)),
    { mode: 'hook', rewrite: false },
    'keep',
    'whole.onnx',
  );
  const whole = await runFile(hook.path, feeds);
  const want = new Map(
    tensors
      .map((_name, index) => [hook.plan.outputs[index].output, index] as const)
      .map(([name, index]) => [result.plan.outputs[index].output, whole.get(name) ?? new Uint8Array(0)]),
  );
  return { got: await runFile(result.path, feeds), want };
}
