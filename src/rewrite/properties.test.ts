import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { viewGraph } from '../onnx/graph.js';
import { openModel } from '../open.js';
import { arbitraryModel, type GeneratedModel } from '../testing/arbitrary-model.js';
import { cut, tapOf, type Bench } from '../testing/equivalence.js';
import { encodeModel } from '../testing/model-builder.js';
import type { AttributeSpec, GraphSpec, ModelSpec, NodeSpec } from '../testing/model-spec.js';
import { feedsFor, runFile } from '../testing/ort.js';
import { bytesOf, type Text } from '../testing/wire-writer.js';
import { planRewrite } from './plan.js';
import { DEFAULT_PLAN, type PlanOptions } from './tap.js';
import { splice } from './splice.js';
import { WEIGHTS_MODES } from '../options/choices.js';

const text = (name: Text): string => Buffer.from(bytesOf(name)).toString('utf8');

/** What a model says, walked without any of the code under test: free names of a body, and what a tensor needs. */
function freeNames(graph: GraphSpec): ReadonlySet<string> {
  const made = new Set<string>(
    [...(graph.inputs ?? []), ...(graph.initializers ?? [])].map(({ name }) => text(name ?? '')),
  );
  const used = new Set<string>((graph.outputs ?? []).map(({ name }) => text(name)));
  for (const node of graph.nodes ?? []) {
    for (const name of node.outputs ?? []) made.add(text(name));
    for (const name of readsOf(node)) used.add(name);
  }
  return new Set([...used].filter((name) => !made.has(name)));
}

function readsOf(node: NodeSpec): readonly string[] {
  const bodies = Object.values(node.attributes ?? {}).flatMap((attribute: AttributeSpec) =>
    'graph' in attribute ? [attribute.graph] : 'graphs' in attribute ? attribute.graphs : [],
  );
  return [...(node.inputs ?? []).map(text), ...bodies.flatMap((body) => [...freeNames(body)])].filter(
    (name) => name !== '',
  );
}

interface Needed {
  /** Indices of nodes. */
  readonly nodes: ReadonlySet<number>;
  readonly tensors: ReadonlySet<string>;
  readonly functions: ReadonlySet<string>;
}

function neededBy({ graph, functions = [] }: ModelSpec, roots: readonly string[]): Needed {
  const all = graph.nodes ?? [];
  const tensors = new Set(roots);
  const nodes = new Set<number>();
  const called = new Set<string>();
  const call = (node: NodeSpec): void => {
    const definition = functions.find(
      ({ name, domain, overload = '' }) =>
        name === node.op && domain === (node.domain ?? '') && overload === (node.overload ?? ''),
    );
    const key = JSON.stringify([definition?.name, definition?.overload ?? '']);
    if (definition !== undefined && !called.has(key)) {
      called.add(key);
      definition.nodes.forEach(call);
    }
    for (const attribute of Object.values(node.attributes ?? {}))
      if ('graph' in attribute) attribute.graph.nodes?.forEach(call);
  };
  for (let grown = true; grown; ) {
    grown = false;
    all.forEach((node, index) => {
      if (nodes.has(index) || !(node.outputs ?? []).some((name) => tensors.has(text(name)))) return;
      nodes.add(index);
      grown = true;
      for (const name of readsOf(node)) tensors.add(name);
      call(node);
    });
  }
  return { nodes, tensors, functions: called };
}

const arbitraryRequest = fc.record({
  picks: fc.array(fc.nat(100), { minLength: 1, maxLength: 5 }),
  mode: fc.constantFrom<PlanOptions['mode']>('dict', 'list', 'hook'),
  rewrite: fc.boolean(),
  keepOutputs: fc.boolean(),
  order: fc.constantFrom<PlanOptions['order']>('out', 'exec'),
  mapped: fc.boolean(),
});

type Request = typeof arbitraryRequest extends fc.Arbitrary<infer T> ? T : never;

function optionsOf({ picks, mode, rewrite, keepOutputs, order, mapped }: Request): PlanOptions {
  return {
    ...DEFAULT_PLAN,
    mode,
    order,
    keepOutputs,
    rewrite: mode !== 'hook' || rewrite,
    outMap: mapped ? picks.map((_pick, index) => `map ${index}`) : null,
  };
}

function picked({ tensors }: GeneratedModel, { picks }: Request): readonly string[] {
  const names = [...tensors.keys()];
  return picks.map((pick) => names[pick % names.length]);
}

test('any cut is a valid graph of exactly what its outputs need', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryModel, arbitraryRequest, async (generated, request) => {
      await using model = await openModel(encodeModel(generated.spec, generated.style));
      const view = viewGraph(model);
      const names = picked(generated, request);
      const options = optionsOf(request);
      const plan = planRewrite(
        view,
        new Map(),
        names.map((name, index) => tapOf(view, name, index)),
        options,
      );
      const pieces = splice(model, plan.edit);
      const { materialize } = await import('../wire/pieces.js');
      await using result = await openModel(await materialize(model.source, pieces));
      const resultView = viewGraph(result);

      const { graph } = generated.spec;
      const own = (graph.outputs ?? []).map(({ name }) => text(name));
      const prunes = options.mode !== 'hook' || options.rewrite;
      const keepsOwn = !prunes || options.keepOutputs;
      const needed = prunes ? neededBy(generated.spec, [...names, ...(keepsOwn ? own : [])]) : null;
      const isNeeded = (name: string): boolean => needed === null || needed.tensors.has(name);
      const ownNodes = result.graph.nodes.slice(0, result.graph.nodes.length - plan.edit.addNodes.length);
      expect(ownNodes.map(({ outputs }) => outputs)).toEqual(
        (graph.nodes ?? [])
          .filter((_node, index) => needed === null || needed.nodes.has(index))
          .map(({ outputs = [] }) => outputs.map(text)),
      );
      expect(result.graph.initializers.map(({ name }) => name).sort()).toEqual(
        (graph.initializers ?? [])
          .map(({ name }) => text(name ?? ''))
          .filter(isNeeded)
          .sort(),
      );
      expect(result.graph.sparseInitializers.length).toBe(
        (graph.sparseInitializers ?? []).filter(({ values }) => isNeeded(text(values.name ?? ''))).length,
      );
      expect(result.graph.inputs.map(({ name }) => name).sort()).toEqual(
        (graph.inputs ?? [])
          .map(({ name }) => text(name))
          .filter(isNeeded)
          .sort(),
      );
      expect(result.functions.map(({ name, overload }) => JSON.stringify([name, overload])).sort()).toEqual(
        (generated.spec.functions ?? [])
          .map(({ name, overload = '' }) => JSON.stringify([name, overload]))
          .filter((key) => needed === null || needed.functions.has(key))
          .sort(),
      );

      // Every name stands once, and the features leave where the plan says.
      const outputs = [...resultView.outputs.keys()];
      expect(new Set(outputs).size).toBe(result.graph.outputs.length);
      const features = plan.outputs.map(({ output }) => output);
      expect(new Set(features).size).toBe(features.length);
      if (keepsOwn)
        expect(outputs).toEqual(prunes ? [...new Set([...features, ...own])] : [...new Set([...own, ...features])]);
      else expect(outputs).toEqual(features);
      plan.outputs.forEach(({ output, tap }) => {
        const maker = resultView.producerOf.get(output)?.node;
        if (output !== tap.tensors[0]) expect([maker?.opType, maker?.inputs]).toEqual(['Identity', [tap.tensors[0]]]);
      });
      const known = new Set([...generated.tensors.keys(), ...own]);
      for (const info of result.graph.valueInfo) expect(known.has(info.name)).toBe(true);
    }),
    { seed: 11, numRuns: 150 },
  );
});

test('any cut computes what the whole model computes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'featx-property-'));
  const path = join(folder, 'model.onnx');
  try {
    await fc.assert(
      fc.asyncProperty(
        arbitraryModel,
        arbitraryRequest,
        fc.constantFrom(...WEIGHTS_MODES),
        fc.boolean(),
        async (generated, request, weights, cond) => {
          await writeFile(path, encodeModel(generated.spec, generated.style));
          await using model = await openModel(path);
          const bench: Bench = { model, view: viewGraph(model), path, dispose: async () => undefined };
          const names = picked(generated, request);
          const feeds = { ...feedsFor(model), cond: await boolean(cond) };
          const distinct = [...new Set(names)];
          const whole = await cut(
            bench,
            distinct.map((name) => tapOf(bench.view, name)),
            { mode: 'hook', rewrite: false },
            'keep',
            'whole.onnx',
          );
          const wanted = await runFile(whole.path, feeds);
          const original = await runFile(path, feeds);
          const outputOf = new Map(distinct.map((name, index) => [name, whole.plan.outputs[index].output]));
          const taps = names.map((name, index) => tapOf(bench.view, name, index));
          const result = await cut(bench, taps, optionsOf(request), weights);
          const got = await runFile(result.path, feeds);
          for (const { output, tap } of result.plan.outputs)
            expect([output, Buffer.from(got.get(output) ?? [])]).toEqual([
              output,
              Buffer.from(wanted.get(outputOf.get(tap.tensors[0]) ?? '') ?? [9]),
            ]);
          for (const [name, bytes] of original) {
            expect([name, Buffer.from(wanted.get(name) ?? [])]).toEqual([name, Buffer.from(bytes)]);
            if (got.has(name) && !result.plan.outputs.some(({ output }) => output === name))
              expect([name, Buffer.from(got.get(name) ?? [])]).toEqual([name, Buffer.from(bytes)]);
          }
        },
      ),
      { seed: 12, numRuns: 50 },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

async function boolean(value: boolean): Promise<import('onnxruntime-node').Tensor> {
  const { Tensor } = await import('onnxruntime-node');
  return new Tensor('bool', Uint8Array.of(Number(value)), []);
}
